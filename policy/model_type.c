/* model_type.c: which model is it? By architecture, and by the names of its tensors; see model.h.
 *
 * Architectures: the lists of ComfyUI-GGUF's loader. Names: those of the checkpoints that such
 * programs load, as published, as diffusers writes them, and as llama.cpp does.
 */
#include "policy/model.h"

#include <string.h>

static const char *const unet_architectures[] = {
    "flux",   "sd1",  "sdxl",  "sd3", "aura",    "hidream",
    "cosmos", "ltxv", "hyvid", "wan", "lumina2", "qwen_image",
};

static const char *const clip_architectures[] = {
    "t5", "t5encoder", "llama", "qwen2vl", "qwen3", "qwen3vl",
};

static bool is_one_of(const char *word, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(word, list[i]) == 0)
            return true;
    return false;
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum model_type model_type_of_metadata(const char *architecture, const char *general_type)
{
    if (strcmp(general_type, "clip-vision") == 0 || strcmp(general_type, "mmproj") == 0)
        return MODEL_CLIP;
    if (is_one_of(architecture, unet_architectures, COUNT(unet_architectures)))
        return MODEL_UNET;
    if (is_one_of(architecture, clip_architectures, COUNT(clip_architectures)))
        return MODEL_CLIP;
    return MODEL_UNKNOWN;
}

/* --- names: the first beginning that fits tells --------------------------------------------------
 */

static const struct beginning {
    const char *text;
    enum model_type type;
} beginnings[] = {
    /* whole checkpoints name their parts */
    {"model.diffusion_model.", MODEL_UNET},
    {"diffusion_model.", MODEL_UNET},
    {"first_stage_model.", MODEL_VAE},
    {"vae.", MODEL_VAE},
    {"cond_stage_model.", MODEL_CLIP},
    {"conditioner.", MODEL_CLIP},
    {"text_encoder", MODEL_CLIP},

    {"encoder.conv_", MODEL_VAE},
    {"encoder.down", MODEL_VAE}, /* down., down_blocks., downsamples. */
    {"encoder.mid", MODEL_VAE},
    {"decoder.conv_", MODEL_VAE},
    {"decoder.mid", MODEL_VAE},
    {"decoder.up", MODEL_VAE},
    {"quant_conv.", MODEL_VAE},
    {"post_quant_conv.", MODEL_VAE},

    {"blk.", MODEL_CLIP}, /* llama.cpp */
    {"token_embd.", MODEL_CLIP},
    {"enc.", MODEL_CLIP},
    {"dec.", MODEL_CLIP},
    {"output_norm.", MODEL_CLIP},
    {"output.weight", MODEL_CLIP},
    {"v.", MODEL_CLIP}, /* its vision towers */
    {"mm.", MODEL_CLIP},
    {"text_model.", MODEL_CLIP},
    {"text_projection", MODEL_CLIP},
    {"vision_model.", MODEL_CLIP},
    {"visual.", MODEL_CLIP},
    {"language_model.", MODEL_CLIP},
    {"model.visual.", MODEL_CLIP},
    {"model.language_model.", MODEL_CLIP},
    {"model.embed_tokens.", MODEL_CLIP},
    {"model.layers.", MODEL_CLIP},
    {"model.norm.", MODEL_CLIP},
    {"lm_head.", MODEL_CLIP},
    {"shared.weight", MODEL_CLIP}, /* T5 */
    {"encoder.embed_tokens.", MODEL_CLIP},
    {"encoder.block.", MODEL_CLIP},
    {"encoder.final_layer_norm.", MODEL_CLIP},
    {"decoder.block.", MODEL_CLIP},
    {"transformer.resblocks.", MODEL_CLIP}, /* OpenCLIP */
    {"token_embedding.", MODEL_CLIP},

    {"double_blocks.", MODEL_UNET}, /* Flux, Hunyuan */
    {"single_blocks.", MODEL_UNET},
    {"double_stream_blocks.", MODEL_UNET}, /* HiDream */
    {"single_stream_blocks.", MODEL_UNET},
    {"double_layers.", MODEL_UNET}, /* Aura */
    {"single_layers.", MODEL_UNET},
    {"joint_blocks.", MODEL_UNET}, /* SD3 */
    {"joint_transformer_blocks.", MODEL_UNET},
    {"single_transformer_blocks.", MODEL_UNET},
    {"transformer_blocks.", MODEL_UNET}, /* Qwen-Image, LTXV, diffusers */
    {"blocks.", MODEL_UNET},             /* Wan, Cosmos */
    {"input_blocks.", MODEL_UNET},       /* Stable Diffusion */
    {"middle_block.", MODEL_UNET},
    {"output_blocks.", MODEL_UNET},
    {"down_blocks.", MODEL_UNET},
    {"mid_block.", MODEL_UNET},
    {"up_blocks.", MODEL_UNET},
    {"time_embed", MODEL_UNET},
    {"time_in.", MODEL_UNET},
    {"img_in.", MODEL_UNET},
    {"txt_in.", MODEL_UNET},
    {"vector_in.", MODEL_UNET},
    {"guidance_in.", MODEL_UNET},
    {"t_embedder.", MODEL_UNET},
    {"x_embedder.", MODEL_UNET},
    {"cap_embedder.", MODEL_UNET}, /* Lumina */
    {"context_refiner.", MODEL_UNET},
    {"noise_refiner.", MODEL_UNET},
    {"caption_projection.", MODEL_UNET},
    {"adaln_single.", MODEL_UNET},
    {"patchify_proj.", MODEL_UNET},
    {"patch_embedding.", MODEL_UNET},
    {"final_layer.", MODEL_UNET},
};

enum model_type model_type_of_tensor(const char *name, size_t len)
{
    for (size_t i = 0; i < COUNT(beginnings); i++) {
        size_t n = strlen(beginnings[i].text);

        if (n <= len && memcmp(beginnings[i].text, name, n) == 0)
            return beginnings[i].type;
    }
    return MODEL_UNKNOWN;
}

/* --- both ----------------------------------------------------------------------------------------
 */

enum model_type model_type(const struct model *model, enum model_origin *origin)
{
    enum model_type said = model_type_of_metadata(model->architecture, model->general_type);
    enum model_type named = MODEL_UNET;
    bool most;

    for (enum model_type t = MODEL_CLIP; t <= MODEL_VAE; t++)
        if (model->named_bytes[t] > model->named_bytes[named])
            named = t;
    if (model->named_bytes[named] == 0)
        named = MODEL_UNKNOWN;
    most = named != MODEL_UNKNOWN &&
           model->named_bytes[named] > model->tensor_bytes - model->named_bytes[named];
    *origin = MODEL_FROM_METADATA;
    if (said != MODEL_UNKNOWN && (said == named || !most))
        return said;
    *origin = named == MODEL_UNKNOWN ? MODEL_FROM_NOTHING : MODEL_FROM_NAMES;
    return named;
}

const char *model_type_name(enum model_type type)
{
    switch (type) {
    case MODEL_UNET:
        return "gguf_unet";
    case MODEL_CLIP:
        return "gguf_clip";
    case MODEL_VAE:
        return "gguf_vae";
    case MODEL_UNKNOWN:
        return "unknown";
    }
    return "unknown";
}
