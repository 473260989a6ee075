/* green.h: green contexts: streams of a primary context that have some of the device's processors
 * to themselves. All else that is made with one current is the primary context's. */
#ifndef HYBRIDMEM_SIM_GREEN_H
#define HYBRIDMEM_SIM_GREEN_H

#include "engine.h"

struct green {
    void *handle;  /* a CUgreenCtx */
    void *context; /* as a CUcontext */
    struct ctx *primary;
    struct stream *standard; /* its default stream */
    unsigned current;        /* how often it is on the stack of `thread` */
    pthread_t thread;
    bool alive;
    struct green *next_ever;
};

extern __thread struct green *green_top; /* of the calling thread's stack; NULL: no green one */
struct green *green_of_context(CUcontext handle); /* NULL: none, or destroyed */
/* A thread's stack has it, or no longer. */
void green_pushed(struct green *green);
void green_popped(struct green *green);
struct stream *green_standard_locked(struct green *green);
CUresult green_wait(const struct green *green);

#endif
