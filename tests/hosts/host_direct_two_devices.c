/* Physical memory of two devices, made while the other one's context is current or none. */
#define HOST_DIRECT
#include "host.h"

#define PIECE  ((size_t)20 << 20)
#define PIECES 3

static CUdeviceptr make(int device, CUmemGenericAllocationHandle *handle)
{
    CUmemAllocationProp prop = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                .location = {CU_MEM_LOCATION_TYPE_DEVICE, device}};
    CUmemAccessDesc access = {prop.location, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    CUdeviceptr p;
    int ordinal = -1;

    MUST(cuMemCreate(handle, PIECE, &prop, 0));
    MUST(cuMemAddressReserve(&p, PIECE, 0, 0, 0));
    MUST(cuMemMap(p, PIECE, 0, *handle, 0));
    MUST(cuMemSetAccess(p, PIECE, &access, 1));
    MUST(cuMemGetAllocationPropertiesFromHandle(&prop, *handle));
    MUST(cuPointerGetAttribute(&ordinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, p));
    printf("device %d: made on %d %d, ordinal %d\n", device, (int)prop.location.type,
           prop.location.id, ordinal);
    return p;
}

int main(void)
{
    CUmemGenericAllocationHandle handle[2 * PIECES];
    CUdeviceptr p[2 * PIECES];
    CUcontext context[2];

    host.cu = &host_direct;
    MUST(cuInit(0));
    for (int i = 0; i < 2; i++)
        MUST(cuDevicePrimaryCtxRetain(&context[i], i));
    for (int i = 0; i < 2 * PIECES; i++) {
        MUST(cuCtxSetCurrent(i < PIECES ? context[0] : NULL));
        p[i] = make(1 - i % 2, &handle[i]);
    }
    for (int i = 0; i < 2 * PIECES; i++) {
        unsigned int word = 0;

        MUST(cuCtxSetCurrent(context[1 - i % 2]));
        MUST(cuMemsetD32(p[i], 0x1234u + (unsigned)i, PIECE / 4));
        MUST(cuMemcpyDtoH(&word, p[i] + PIECE - 4, 4));
        REQUIRE(word == 0x1234u + (unsigned)i);
    }
    for (int i = 0; i < 2 * PIECES; i++) {
        MUST(cuMemUnmap(p[i], PIECE));
        MUST(cuMemRelease(handle[i]));
        MUST(cuMemAddressFree(p[i], PIECE));
    }
    for (int i = 0; i < 2; i++)
        MUST(cuDevicePrimaryCtxRelease(i));
    printf("done\n");
    return 0;
}
