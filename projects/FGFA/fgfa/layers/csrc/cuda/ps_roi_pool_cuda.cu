// ps_roi_pool on CUDA.

#include <torch/csrc/stable/library.h>

#include "launch.cuh"
#include "ps_roi_pool_op.h"

STABLE_TORCH_LIBRARY_IMPL(fgfa, CUDA, m) {
  m.impl("ps_roi_pool", TORCH_BOX(&fgfa::ps_roi_pool<fgfa::CudaLaunch>));
  m.impl("ps_roi_pool_backward", TORCH_BOX(&fgfa::ps_roi_pool_backward<fgfa::CudaLaunch>));
}
