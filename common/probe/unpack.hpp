// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// BPF objects are compressed in the program (scripts/build/pack-skeleton.cpp): a quarter of their
// size, a millisecond to unpack.
#pragma once
#include <cstddef>
#include <memory>

namespace corebox
{

// The object of `size` bytes, in `memory`, whatever was there before; its size in *out_size, 0 if
// it could not be unpacked.
const void* unpack(const unsigned char* packed, std::size_t packed_size, std::size_t size,
                   std::unique_ptr<unsigned char[]>& memory, std::size_t* out_size);

} // namespace corebox
