/* errors.c: the table of results. */
#include "impl.h"
#include "sim.h"

static const struct {
    CUresult result;
    const char *name, *text;
} results[] = {
#define RESULT(name, value, text) {name, #name, text},
#include "results.def"
#undef RESULT
};
/* The header's values, and the table's, are the same. */
#define RESULT(name, value, text) _Static_assert((int)(name) == (value), #name);
#include "results.def"
#undef RESULT

#define RESULTS (sizeof(results) / sizeof(*results))

const char *result_name(CUresult result)
{
    for (size_t i = 0; i < RESULTS; i++)
        if (results[i].result == result)
            return results[i].name;
    return NULL;
}

const char *result_text(CUresult result)
{
    for (size_t i = 0; i < RESULTS; i++)
        if (results[i].result == result)
            return results[i].text;
    return NULL;
}

bool result_by_name(const char *name, CUresult *result)
{
    for (size_t i = 0; i < RESULTS; i++) {
        if (!strcmp(results[i].name, name)) {
            *result = results[i].result;
            return true;
        }
    }
    return false;
}

CUresult sim_get_error_name(CUresult error, const char **name)
{
    if (!name)
        return CUDA_ERROR_INVALID_VALUE;
    *name = result_name(error);
    return *name ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult sim_get_error_string(CUresult error, const char **text)
{
    if (!text)
        return CUDA_ERROR_INVALID_VALUE;
    *text = result_text(error);
    return *text ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
