// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The fields of a tracepoint's record, as tracefs describes them in events/CATEGORY/EVENT/format.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace corebox
{

struct TracepointField {
    enum class Form : std::uint8_t {
        plain,    // a value of `type`
        array,    // of `count` elements of `type`, in the record
        data_loc, // of elements of `type`; a u32 has its offset in the record, and above 16 bits
                  // its size
        rel_loc,  // the same, from behind the u32
    };
    std::string name, type; // "unsigned long", "const char *", "struct sk_buff *"
    Form form = Form::plain;
    std::uint32_t offset = 0, size = 0, count = 0;
    bool is_signed = false;
};

// The fields behind those that all records have. Lines that are not of the known form are left out.
std::vector<TracepointField> parse_tracepoint_format(std::string_view text);

// Of an event that tracefs has; nothing with errno set.
std::optional<std::vector<TracepointField>> read_tracepoint_fields(std::string_view event);

} // namespace corebox
