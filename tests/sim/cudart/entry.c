/* entry.c: what the library exports; each name hands on to rt_NAME with its stream flavour. */
#include "cudart.h"

#define EXPORT(name, params, args)                                                                 \
    RT_API cudaError_t name params                                                                 \
    {                                                                                              \
        return rt_note(rt_##name(RT_LEGACY, RT_STRIP_ args));                                      \
    }
#define EXPORT_PER_THREAD(name, target, params, args)                                              \
    RT_API cudaError_t name params                                                                 \
    {                                                                                              \
        return rt_note(rt_##target(RT_PER_THREAD, RT_STRIP_ args));                                \
    }
#define EXPORT_PTSZ(name, params, args)                                                            \
    EXPORT(name, params, args)                                                                     \
    EXPORT_PER_THREAD(name##_ptsz, name, params, args)
#define EXPORT_PTDS(name, params, args)                                                            \
    EXPORT(name, params, args)                                                                     \
    EXPORT_PER_THREAD(name##_ptds, name, params, args)
#define EXPORT_VOID(name)                                                                          \
    RT_API cudaError_t name(void)                                                                  \
    {                                                                                              \
        return rt_note(rt_##name(RT_LEGACY));                                                      \
    }

CUDART_VOID(EXPORT_VOID)
CUDART_PLAIN(EXPORT)
CUDART_PTSZ(EXPORT_PTSZ)
CUDART_PTDS(EXPORT_PTDS)

static __thread cudaError_t last_error;

cudaError_t rt_note(cudaError_t error)
{
    if (error != cudaSuccess)
        last_error = error;
    return error;
}

RT_API cudaError_t cudaPeekAtLastError(void)
{
    return last_error;
}

RT_API cudaError_t cudaGetLastError(void)
{
    cudaError_t error = last_error;

    last_error = cudaSuccess;
    return error;
}

RT_API const char *cudaGetErrorString(cudaError_t error)
{
    switch (error) {
#define CASE(name, value, text)                                                                    \
    case name:                                                                                     \
        return text;
        CUDART_ERRORS(CASE)
#undef CASE
    }
    return "unrecognized error code";
}

RT_API const char *cudaGetErrorName(cudaError_t error)
{
    switch (error) {
#define CASE(name, value, text)                                                                    \
    case name:                                                                                     \
        return #name;
        CUDART_ERRORS(CASE)
#undef CASE
    }
    return "unrecognized error code";
}
