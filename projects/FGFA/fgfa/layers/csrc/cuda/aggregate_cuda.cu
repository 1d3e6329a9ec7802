// aggregate on CUDA.

#include <torch/csrc/stable/library.h>

#include "aggregate_op.h"
#include "launch.cuh"

STABLE_TORCH_LIBRARY_IMPL(fgfa, CUDA, m) {
  m.impl("aggregate", TORCH_BOX(&fgfa::aggregate<fgfa::CudaLaunch>));
  m.impl("aggregate_backward", TORCH_BOX(&fgfa::aggregate_backward<fgfa::CudaLaunch>));
}
