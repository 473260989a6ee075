/* array.h: how much VRAM a CUDA array takes.
 */
#ifndef HYBRIDMEM_ARRAY_H
#define HYBRIDMEM_ARRAY_H

#include "shim/cuda_abi.h"

/* Bits of an element; of a block-compressed or planar format, its average. 0: a format not known.
 */
unsigned int array_element_bits(CUarray_format format, unsigned int channels);

/* Bytes of an array that the driver has made, all `levels` of it (1: no mipmaps), without what the
 * driver pads it with. 0 if it has no memory of its own. */
uint64_t array_bytes(const CUDA_ARRAY3D_DESCRIPTOR *shape, unsigned int levels);

#endif
