// Transposing a matrix from memory to memory, a small square at a time where vectors allow it.

#pragma once

#include <cstdint>
#include <cstring>
#include <utility>

namespace fgfa {

#ifdef __has_builtin
#if __has_builtin(__builtin_shufflevector)
#define FGFA_HAS_SHUFFLE
#endif
#endif

#ifdef FGFA_HAS_SHUFFLE
// Unsigned integers of a given size, in vectors of 16 bytes, which every processor has.
template <int kBytes>
struct Shuffled;
template <>
struct Shuffled<2> {
  typedef uint16_t type __attribute__((vector_size(16)));
};
template <>
struct Shuffled<4> {
  typedef uint32_t type __attribute__((vector_size(16)));
};
template <>
struct Shuffled<8> {
  typedef uint64_t type __attribute__((vector_size(16)));
};

// a0 b0 a1 b1 ... for kStart = 0; the second halves of a and b for kStart = half of their lanes.
template <int kStart, typename V, int... kLane>
inline V interleave(const V& a, const V& b, std::integer_sequence<int, kLane...>) {
  return __builtin_shufflevector(
      a, b, (kStart + kLane / 2 + (kLane % 2) * static_cast<int>(sizeof...(kLane)))...);
}

// As many rows as a vector has lanes.
template <typename value_t>
inline void transpose_square(const value_t* source, int64_t source_stride, value_t* target,
                             int64_t target_stride) {
  using V = typename Shuffled<sizeof(value_t)>::type;
  constexpr int kSide = sizeof(V) / sizeof(value_t);
  constexpr auto kLanes = std::make_integer_sequence<int, kSide>();
  V rows[kSide];
  for (int i = 0; i < kSide; ++i) {
    std::memcpy(&rows[i], source + i * source_stride, sizeof(V));
  }
  // Interleaving the first half of the rows with the second moves every value by a bit of its
  // index; once for each bit of the side length makes rows of columns.
  for (int side = 1; side < kSide; side *= 2) {
    V next[kSide];
    for (int i = 0; i < kSide / 2; ++i) {
      next[2 * i] = interleave<0>(rows[i], rows[i + kSide / 2], kLanes);
      next[2 * i + 1] = interleave<kSide / 2>(rows[i], rows[i + kSide / 2], kLanes);
    }
    std::memcpy(rows, next, sizeof(rows));
  }
  for (int i = 0; i < kSide; ++i) {
    std::memcpy(target + i * target_stride, &rows[i], sizeof(V));
  }
}
#endif

// target[column][row] = source[row][column]; strides are those from a row of each to the next.
template <typename value_t>
void transpose(const value_t* source, int64_t source_stride, int64_t rows, int64_t columns,
               value_t* target, int64_t target_stride) {
  int64_t whole_rows = 0;
  int64_t whole_columns = 0;
#ifdef FGFA_HAS_SHUFFLE
  constexpr int64_t kSide = 16 / sizeof(value_t);
  whole_rows = rows / kSide * kSide;
  whole_columns = columns / kSide * kSide;
  for (int64_t r = 0; r < whole_rows; r += kSide) {
    for (int64_t c = 0; c < whole_columns; c += kSide) {
      transpose_square(source + r * source_stride + c, source_stride,
                       target + c * target_stride + r, target_stride);
    }
  }
#endif
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = r < whole_rows ? whole_columns : 0; c < columns; ++c) {
      target[c * target_stride + r] = source[r * source_stride + c];
    }
  }
}

}  // namespace fgfa
