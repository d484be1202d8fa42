// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "base/unpack.hpp"
#include <zlib.h>

namespace corebox
{

const void* unpack(const unsigned char* packed, std::size_t packed_size, std::size_t size,
                   std::unique_ptr<unsigned char[]>& memory, std::size_t* out_size)
{
    memory = std::make_unique_for_overwrite<unsigned char[]>(size);
    uLongf length = size;
    *out_size = ::uncompress(memory.get(), &length, packed, packed_size) == Z_OK ? length : 0;
    return memory.get();
}

} // namespace corebox
