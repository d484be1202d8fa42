// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "expr/constants.hpp"
#include "base/text.hpp"
#include "constants.inc" // what scripts/build/uapi-constants printed, packed

extern const corebox::PackedFile __start_corebox_constants[];

namespace corebox::expr
{

namespace
{

// "\nNAME VALUE\nNAME VALUE\n".
std::string unpack_constants()
{
    const PackedFile& file = __start_corebox_constants[0];
    std::unique_ptr<unsigned char[]> memory;
    std::size_t size = 0;
    const auto* text =
        static_cast<const char*>(unpack(file.packed, file.packed_size, file.size, memory, &size));
    return cat('\n', std::string_view(text, size));
}

const std::string& constants()
{
    static const std::string all = unpack_constants();
    return all;
}

} // namespace

std::vector<std::string> uapi_constant_names()
{
    std::vector<std::string> names;
    for (const std::string_view line : split(constants(), '\n'))
        if (!line.empty())
            names.emplace_back(line.substr(0, line.find(' ')));
    return names;
}

std::optional<std::int64_t> uapi_constant(std::string_view name)
{
    const std::string& all = constants();
    const std::string line = cat('\n', name, ' ');
    const auto at = all.find(line);
    if (at == all.npos)
        return std::nullopt;
    const std::size_t from = at + line.size();
    return to_number<std::int64_t>(std::string_view(all).substr(from, all.find('\n', from) - from));
}

} // namespace corebox::expr
