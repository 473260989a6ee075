/* abi_check.c: compares shim/cuda_abi.h and shim/hooks.def with NVIDIA's own cuda.h.
 *
 * Compiled (never run) by `make abi-check`, where a toolkit is installed; a difference is a
 * compile error that names the row.
 */
#define __CUDA_API_VERSION_INTERNAL /* cuda.h then declares every exported name as it is */
#include <cuda.h>

#include "shim/cuda_abi.h"

#define CONSTANT(name, value) _Static_assert((name) == (value), #name);
ABI_CONSTANTS(CONSTANT)

#define SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), #type);
ABI_SIZES(SIZE)

#define OFFSET(type, field, bytes)                                                                 \
    _Static_assert(offsetof(type, field) == (bytes), #type "." #field);
ABI_OFFSETS(OFFSET)

#if CUDA_VERSION >= 13040
ABI_OFFSETS_13040(OFFSET)
#endif
#if CUDA_VERSION >= 13050
ABI_ARRAY_FORMATS_13050(CONSTANT)
ABI_FABRIC_OPERAND_TYPES(CONSTANT)
ABI_SIZES_13050(SIZE)
ABI_OFFSETS_13050(OFFSET)
#endif

/* What shim/entry_copy.c takes for granted. */
_Static_assert(sizeof(CUDA_MEMCPY3D_PEER) == sizeof(CUDA_MEMCPY3D), "3D peer");
_Static_assert(offsetof(CUDA_MEMCPY3D_PEER, srcPitch) == offsetof(CUDA_MEMCPY3D, srcPitch),
               "3D peer");
_Static_assert(offsetof(CUDA_MEMCPY3D_PEER, dstMemoryType) ==
                   offsetof(CUDA_MEMCPY3D, dstMemoryType),
               "3D peer");
_Static_assert(offsetof(CUDA_MEMCPY3D_PEER, Depth) == offsetof(CUDA_MEMCPY3D, Depth), "3D peer");

#define HOOK(group, symbol, base, since, flavour, params, args)                                    \
    _Static_assert(__builtin_types_compatible_p(__typeof__(&symbol), CUresult(*) params), #symbol);
#include "shim/hooks.def"
