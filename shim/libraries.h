/* libraries.h: the types of the libraries beside the driver, as their public documentation has
 * them.
 */
#ifndef HYBRIDMEM_LIBRARIES_H
#define HYBRIDMEM_LIBRARIES_H

/* --- NVML (NVML API reference, "Device Structs") ---------------------------------------------- */

#define NVML_SONAME    "libnvidia-ml.so.1"
#define NVML_UUID_SIZE 96 /* NVML_DEVICE_UUID_V2_BUFFER_SIZE */

typedef int nvmlReturn_t;
enum { NVML_SUCCESS = 0, NVML_ERROR_FUNCTION_NOT_FOUND = 13 };

typedef struct nvmlDevice_st *nvmlDevice_t;

/* All in bytes. The first version counts as used what the driver keeps for itself. */
typedef struct nvmlMemory_st {
    unsigned long long total;
    unsigned long long free;
    unsigned long long used;
} nvmlMemory_t;

typedef struct nvmlMemory_v2_st {
    unsigned int version;
    unsigned long long total;
    unsigned long long reserved;
    unsigned long long free;
    unsigned long long used;
} nvmlMemory_v2_t;

/* --- CUDA runtime (CUDA runtime API, "Data types used by CUDA Runtime") ----------------------- */

/* Its errors have had the driver's numbers since CUDA 10.1. */
typedef int cudaError_t;
enum { cudaSuccess = 0, cudaErrorMemoryAllocation = 2, cudaErrorSymbolNotFound = 500 };
enum { cudaMemoryTypeDevice = 2 };

/* The beginning of it, the same since CUDA 11.0. */
struct cudaPointerAttributes {
    int type;
    int device;
    void *devicePointer;
    void *hostPointer;
};

#endif
