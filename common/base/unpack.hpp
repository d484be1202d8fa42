// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What scripts/build/pack-skeleton.cpp makes of the skeletons of BPF objects. The objects are
// compressed in the program: a quarter of their size, a millisecond to unpack.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace corebox
{

// A file that the program carries (scripts/build/pack-files.cpp), in a section of its own: entries
// need no list, and where nothing was packed there is no section.
struct alignas(32) PackedFile {
    const char* name;
    const unsigned char* packed;
    std::uint32_t packed_size, size;
};

// The object of `size` bytes, in `memory`, whatever was there before; its size in *out_size, 0 if
// it could not be unpacked.
const void* unpack(const unsigned char* packed, std::size_t packed_size, std::size_t size,
                   std::unique_ptr<unsigned char[]>& memory, std::size_t* out_size);

} // namespace corebox
