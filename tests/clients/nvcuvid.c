/* libnvcuvid.so.1, the decoder library, as GStreamer's nvcodec plugin looks for it before it offers
 * its upload and download elements: there, and without a single decoder. */

#define NOT_SUPPORTED 801
#define ABSENT(name)                                                                               \
    int name(void);                                                                                \
    int name(void)                                                                                 \
    {                                                                                              \
        return NOT_SUPPORTED;                                                                      \
    }

ABSENT(cuvidCreateDecoder)
ABSENT(cuvidCreateVideoParser)
ABSENT(cuvidCtxLock)
ABSENT(cuvidCtxLockCreate)
ABSENT(cuvidCtxLockDestroy)
ABSENT(cuvidCtxUnlock)
ABSENT(cuvidDecodePicture)
ABSENT(cuvidDestroyDecoder)
ABSENT(cuvidDestroyVideoParser)
ABSENT(cuvidGetDecodeStatus)
ABSENT(cuvidGetDecoderCaps)
ABSENT(cuvidMapVideoFrame)
ABSENT(cuvidMapVideoFrame64)
ABSENT(cuvidParseVideoData)
ABSENT(cuvidReconfigureDecoder)
ABSENT(cuvidUnmapVideoFrame)
ABSENT(cuvidUnmapVideoFrame64)
