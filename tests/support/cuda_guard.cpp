// A device guard for "cuda" that does nothing. A CPU build of PyTorch has none and refuses to index a tensor that
// says it is on such a device.
#include <c10/core/impl/DeviceGuardImplInterface.h>

static c10::impl::NoOpDeviceGuardImpl<c10::DeviceType::CUDA> guard;
static c10::impl::DeviceGuardImplRegistrar registrar(c10::DeviceType::CUDA, &guard);
