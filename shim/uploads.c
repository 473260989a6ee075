#include "shim/uploads.h"

#include "policy/plan.h"
#include "shim/attribution.h"
#include "shim/cancel.h"
#include "shim/core.h"
#include "shim/hooks.h"
#include "shim/init.h"
#include "shim/log.h"
#include "shim/vmm.h"

#include <errno.h>
#include <stdatomic.h>

/* A thread that uses more devices than this forgets one for another. */
#define SEATS 4

struct seat {
    struct device *device;
    unsigned generation;
    struct pol_phase phase;
    struct attribution load;
    unsigned type;  /* of the model that was loaded last: a bit; 0: not known */
    unsigned shown; /* the types that were seen at work */
};

static __thread struct seat seats[SEATS];
static atomic_uint generation; /* of what is known of blocks */

static struct seat *seat_of(struct device *device)
{
    struct seat *s = &seats[(unsigned)device->ordinal % SEATS];
    unsigned now = atomic_load_explicit(&generation, memory_order_relaxed);

    if (unlikely(s->device != device || s->generation != now))
        *s = (struct seat){.device = device, .generation = now};
    return s;
}

void uploads_forget_blocks(void)
{
    atomic_fetch_add_explicit(&generation, 1, memory_order_relaxed);
}

/* Does anybody ask which model it is? No file is opened otherwise. */
static bool wants_models(void)
{
    const struct config *c = shim_config();

    return c->placement == CFG_PLACEMENT_ADAPTIVE || c->rules.count || c->skip_clip ||
           c->stats_file[0] || log_wants(CFG_LOG_INFO);
}

/* --- copies and sets ------------------------------------------------------------------------- */

/* The device is the current context's: where a copy goes to another device the hint is lost. */
static struct seat *current_seat(void)
{
    struct context *context = context_current();

    return context && context->device->target ? seat_of(context->device) : NULL;
}

static void take_upload(CUdeviceptr dst, uint64_t src, uint64_t bytes)
{
    struct seat *s = current_seat();
    struct arena_block block;
    int ordinal;

    if (!s)
        return;
    enum attribution_news news = ATTRIBUTION_NOTHING;
    if (wants_models())
        news = attribution_upload(&s->load, s->device, src, bytes,
                                  core_is_ours(dst, &block) ||
                                      vmm_range_is_redirected(dst, bytes, &ordinal));
    if (news == ATTRIBUTION_LOADING)
        pol_phase_loading(&s->phase);
    pol_phase_upload(&s->phase, dst, bytes);
    if (news == ATTRIBUTION_COMPLETE)
        pol_phase_loaded(&s->phase);
}

static void take_write(CUdeviceptr dst, uint64_t bytes)
{
    struct seat *s = current_seat();

    if (s)
        pol_phase_write(&s->phase, dst, bytes);
}

void uploads_copy_from_host(CUdeviceptr dst, uint64_t src, uint64_t bytes)
{
    int saved, cancel;

    if (!shim_acts())
        return;
    saved = shim_enter();
    cancel = cancel_defer();
    take_upload(dst, src, bytes);
    cancel_allow(cancel);
    shim_leave(saved);
}

void uploads_write(CUdeviceptr dst, uint64_t bytes)
{
    int saved;

    if (!shim_acts())
        return;
    saved = shim_enter();
    take_write(dst, bytes);
    shim_leave(saved);
}

/* Ordinary memory is unknown to the driver, pinned memory is host memory to it; so is redirected
 * memory, which is the device's to the host. */
static bool is_host_memory(CUdeviceptr address)
{
    struct arena_block block;
    unsigned type = 0;
    int ordinal;

    if (core_is_ours(address, &block) || vmm_range_is_redirected(address, 1, &ordinal))
        return false;
    return driver.cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, address) !=
               CUDA_SUCCESS ||
           type == CU_MEMORYTYPE_HOST;
}

void uploads_copy(CUdeviceptr dst, CUdeviceptr src, uint64_t bytes)
{
    int saved, cancel;

    if (!shim_acts())
        return;
    saved = shim_enter();
    cancel = cancel_defer();
    if (is_host_memory(dst))
        ; /* a download tells nothing */
    else if (is_host_memory(src))
        take_upload(dst, src, bytes);
    else
        take_write(dst, bytes);
    cancel_allow(cancel);
    shim_leave(saved);
}

/* --- blocks ---------------------------------------------------------------------------------- */

static const char *text_or_null(const char *text)
{
    return *text ? text : NULL;
}

/* What is known of the model that is being loaded; `guess` holds the texts. */
static void describe_model(struct device *d, const struct attribution_guess *guess,
                           struct pol_subject *subject)
{
    struct pol_limits limits;

    pthread_mutex_lock(&d->lock);
    limits = *device_limits(d, false);
    pthread_mutex_unlock(&d->lock);
    if (guess->type != MODEL_UNKNOWN)
        subject->text[POL_RULE_MODEL_TYPE] = model_type_name(guess->type);
    subject->text[POL_RULE_ARCHITECTURE] = text_or_null(guess->architecture);
    subject->text[POL_RULE_STRATEGY] =
        pol_strategy_name(pol_plan(guess->estimate, limits.gpu_budget, limits.sys_avail).strategy);
    subject->text[POL_RULE_FILE] = guess->file;
    subject->text[POL_RULE_TENSOR] = text_or_null(guess->tensor);
}

/* `guess` is NULL where no model is known. */
static enum pol_place ruled_place(struct device *d, const struct alloc_request *request,
                                  uint64_t bytes, const struct attribution_guess *guess)
{
    struct pol_subject subject = {
        .text[POL_RULE_PROCESS] = program_invocation_short_name,
        .bytes = bytes,
        .allocator = request->physical ? POL_ALLOCATOR_VMM
                     : request->order  ? POL_ALLOCATOR_ASYNC
                                       : POL_ALLOCATOR_MALLOC,
        .device = d->ordinal,
        .uuid = device_uuid(d),
    };
    char size[LOG_SIZE_MAX];
    unsigned rule;

    if (guess)
        describe_model(d, guess, &subject);
    enum pol_place place =
        pol_place_of(&shim_config()->rules, shim_config()->skip_clip, &subject, &rule);
    if (rule)
        log_debug("cuda:%d: %s: rule %u matches", d->ordinal, log_size(bytes, size), rule);
    return place;
}

/* Does anybody ask for names? */
static bool wants_names(void)
{
    return unlikely(shim_config()->rules.count || shim_config()->skip_clip);
}

/* Smaller ones are of no consequence before a load has begun. */
#define EXPECT_MIN (UINT64_C(16) << 20)

/* What is known of a load is better evidence than the stream of calls: a tensor that was not there
 * yet and comes next in the file is no working memory, whatever its shape. */
void uploads_predict(struct device *device, const struct alloc_request *request,
                     struct pol_request *asked)
{
    struct seat *s = seat_of(device);
    struct attribution_guess guess;
    int cancel = cancel_defer();

    if (wants_names() && !s->load.model && asked->bytes >= EXPECT_MIN && !request->physical &&
        pol_phase_class(&s->phase, 0) != POL_CLASS_WORKING)
        attribution_expect(&s->load, asked->bytes);
    bool known = s->load.model && attribution_guess(&s->load, asked->bytes, &guess);

    /* One handle of several says nothing of the range that they are mapped to. */
    asked->class = pol_phase_class(&s->phase, request->physical ? 0 : asked->bytes);
    if (known && guess.is_new)
        asked->class = POL_CLASS_WEIGHTS;
    else if (known && pol_phase_class(&s->phase, 0) == POL_CLASS_WORKING) {
        attribution_end(&s->load);
        known = false;
    }
    if (known)
        s->type = guess.type == MODEL_UNKNOWN ? 0 : 1u << guess.type;
    /* A text encoder's work tells nothing of what sampling needs. */
    if (known && (s->type & s->shown))
        asked->working_peak = s->phase.working_peak;
    /* Of all that is uploaded only a model's weights are sure to be nothing but read by kernels. */
    asked->lendable = known && asked->class == POL_CLASS_WEIGHTS && !request->physical &&
                      shim_config()->backing == CFG_BACKING_VMM && backing_loan_works(device);
    if (wants_names())
        asked->place = ruled_place(device, request, asked->bytes, known ? &guess : NULL);
    cancel_allow(cancel);
}

void uploads_block_allocated(struct device *device, uint64_t address, uint64_t bytes)
{
    struct seat *s = seat_of(device);

    pol_phase_alloc(&s->phase, address, bytes);
    if (s->phase.worked >= POL_PHASE_WORKED)
        s->shown |= s->type;
}

void uploads_block_freed(struct device *device, uint64_t address, uint64_t bytes)
{
    pol_phase_free(&seat_of(device)->phase, address, bytes);
}

void uploads_range_usable(CUdeviceptr address, uint64_t bytes)
{
    struct seat *s = current_seat();

    if (s)
        pol_phase_alloc(&s->phase, address, bytes);
}

void uploads_range_unmapped(CUdeviceptr address, uint64_t bytes)
{
    struct seat *s = current_seat();

    if (s)
        pol_phase_free(&s->phase, address, bytes);
}
