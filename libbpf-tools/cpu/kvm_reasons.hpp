// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Why virtual machines left guest mode, in words.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace corebox
{

enum class KvmIsa : std::uint32_t { vmx = 1, svm = 2 };

// "IO_INSTRUCTION" (Intel), "IO" (AMD), "0x123" where the number is unknown.
std::string kvm_reason(KvmIsa isa, std::uint32_t reason);

// Where a field is in a tracepoint's record, from the text of its `format` file.
std::optional<std::uint32_t> field_offset(std::string_view format, std::string_view field);

} // namespace corebox
