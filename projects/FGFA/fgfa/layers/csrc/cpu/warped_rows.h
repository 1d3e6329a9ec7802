// Reading rows where flow points to, and summing them; shared by flow_warp and aggregate.

#pragma once

#include <algorithm>
#include <vector>

#include "../flow_warp.h"
#include "row_kernels.h"
#include "rows.h"

namespace fgfa {

// A part of a map that one thread works on; small enough for the rows around it to stay in the
// processor's cache from one frame to the next. Results do not depend on how a map is cut.
struct Tile {
  static constexpr int64_t kHeight = 4;
  static constexpr int64_t kWidth = 8;

  int64_t top, bottom, left, right, map_width;

  int64_t cells() const { return (bottom - top) * (right - left); }

  // Calls body(number within the tile, cell of the map).
  template <typename Body>
  void for_each_cell(const Body& body) const {
    int64_t index = 0;
    for (int64_t y = top; y < bottom; ++y) {
      for (int64_t x = left; x < right; ++x) {
        body(index++, y * map_width + x);
      }
    }
  }
};

// Calls body(tile) for all tiles of a map, in parallel. work: values that a cell takes.
template <typename Body>
void for_each_tile(int64_t height, int64_t width, int64_t work, const Body& body) {
  const int64_t columns = (width + Tile::kWidth - 1) / Tile::kWidth;
  const int64_t lines = (height + Tile::kHeight - 1) / Tile::kHeight;
  const int64_t grain = grain_size(work * Tile::kHeight * Tile::kWidth);
  torch::stable::parallel_for(0, lines * columns, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t top = i / columns * Tile::kHeight;
      const int64_t left = i % columns * Tile::kWidth;
      body(Tile{top, std::min(top + Tile::kHeight, height), left,
                std::min(left + Tile::kWidth, width), width});
    }
  });
}

// Where the cells of `frames` frames (T, H, W) are read. flow: (T, 2, H, W).
template <typename acc_t>
std::vector<Sample<acc_t>> sample_frames(const acc_t* flow, int64_t frames, int64_t height,
                                         int64_t width) {
  const int64_t plane = height * width;
  std::vector<Sample<acc_t>> samples(frames * plane);
  torch::stable::parallel_for(0, frames * plane, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t frame = i / plane;
      samples[i] = sample_cell(flow + frame * 2 * plane, i % plane, height, width);
    }
  });
  return samples;
}

// Calls body(whether it lies inside the map, its cell, its share) for the four corners of a sample.
template <typename acc_t, typename Body>
void for_each_corner(const Sample<acc_t>& s, const Body& body) {
  const Corners<acc_t> shares = corner_shares(s);
  body(s.top_inside && s.left_inside, s.corner, shares.top_left);
  body(s.top_inside && s.right_inside, s.corner + 1, shares.top_right);
  body(s.bottom_inside && s.left_inside, s.corner + s.width, shares.bottom_left);
  body(s.bottom_inside && s.right_inside, s.corner + s.width + 1, shares.bottom_right);
}

// The four corners of a sample; those outside the map read a row of zeros.
template <typename scalar_t>
struct CornerTaps {
  Tap<scalar_t> taps[kCorners];

  CornerTaps(const Rows<const scalar_t>& rows, int64_t frame,
             const Sample<accumulate_t<scalar_t>>& sample, const scalar_t* zeros) {
    Tap<scalar_t>* tap = taps;
    for_each_corner(sample, [&](bool inside, int64_t cell, accumulate_t<scalar_t> share) {
      *tap++ = {inside ? rows.at(frame, cell) : zeros, share};
    });
  }
};

// Adds weighted rows to one row of sums.
template <typename scalar_t>
class RowSum {
 public:
  using acc_t = accumulate_t<scalar_t>;

  RowSum(int64_t channels, acc_t* total)
      : kernels_(row_kernels<scalar_t>()), channels_(channels), total_(total) {}

  void add(const scalar_t* row, acc_t factor) {
    taps_[count_++] = {row, factor};
    if (count_ == kMost) {
      flush();
    }
  }

  // The same for a row that may be waiting for flush() already: it is read once for both.
  void merge(const scalar_t* row, acc_t factor) {
    Tap<scalar_t>* const end = taps_ + count_;
    Tap<scalar_t>* const same =
        std::find_if(taps_, end, [&](const Tap<scalar_t>& tap) { return tap.row == row; });
    if (same == end) {
      add(row, factor);
    } else {
      same->factor += factor;
    }
  }

  // The corners inside the map, by their shares of factor.
  void add_warped(const Rows<const scalar_t>& rows, int64_t frame, const Sample<acc_t>& s,
                  acc_t factor) {
    for_each_corner(s, [&](bool inside, int64_t cell, acc_t share) {
      if (inside) add(rows.at(frame, cell), factor * share);
    });
  }

  void flush() {
    kernels_.add(taps_, count_, channels_, total_);
    count_ = 0;
  }

 private:
  static constexpr int kMost = 32;

  const RowKernels<scalar_t>& kernels_;
  int64_t channels_;
  acc_t* total_;
  Tap<scalar_t> taps_[kMost];
  int count_ = 0;
};

// Fills the rows of a tile of one frame with sums over `terms` terms: add_term(sum, term, cell)
// adds to a RowSum what belongs to one of them.
template <typename scalar_t, typename AddTerm>
void sum_rows(const Tile& tile, const Rows<scalar_t>& result, int64_t frame, int64_t terms,
              int64_t channels, const AddTerm& add_term) {
  std::vector<accumulate_t<scalar_t>> totals(tile.cells() * channels);
  for (int64_t term = 0; term < terms; ++term) {
    tile.for_each_cell([&](int64_t index, int64_t cell) {
      RowSum<scalar_t> sum(channels, totals.data() + index * channels);
      add_term(sum, term, cell);
      sum.flush();
    });
  }
  tile.for_each_cell([&](int64_t index, int64_t cell) {
    row_kernels<scalar_t>().store(totals.data() + index * channels, channels,
                                  result.at(frame, cell));
  });
}

// For each cell of a frame, which cells read it and by what share, in the order of the readers.
template <typename acc_t>
class Readers {
 public:
  struct Reader {
    int64_t cell;
    acc_t share;
  };

  // samples: (H, W) of one frame.
  Readers(const Sample<acc_t>* samples, int64_t plane) : ends_(plane + 1) {
    const auto for_each_reader = [&](const auto& body) {
      for (int64_t reader = 0; reader < plane; ++reader) {
        for_each_corner(samples[reader], [&](bool inside, int64_t cell, acc_t share) {
          if (inside) body(cell, Reader{reader, share});
        });
      }
    };
    // Counts, then begins, and once they are filled, ends of the lists.
    for_each_reader([&](int64_t cell, const Reader&) { ++ends_[cell + 1]; });
    for (int64_t cell = 0; cell < plane; ++cell) {
      ends_[cell + 1] += ends_[cell];
    }
    readers_.resize(ends_[plane]);
    for_each_reader([&](int64_t cell, const Reader& reader) { readers_[ends_[cell]++] = reader; });
  }

  // Calls body(reader's cell, share).
  template <typename Body>
  void for_each(int64_t cell, const Body& body) const {
    for (int64_t i = cell == 0 ? 0 : ends_[cell - 1]; i < ends_[cell]; ++i) {
      body(readers_[i].cell, readers_[i].share);
    }
  }

 private:
  std::vector<int64_t> ends_;
  std::vector<Reader> readers_;
};

}  // namespace fgfa
