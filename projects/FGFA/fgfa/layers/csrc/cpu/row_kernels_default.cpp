// The row kernels for any processor that the compiler's own settings allow.

#include "row_kernels_common.h"

#define FGFA_CAPABILITY cpu_default
#define FGFA_VECTOR_BYTES 16
#include "row_kernels_impl.h"
