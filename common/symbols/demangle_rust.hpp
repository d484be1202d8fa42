// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Internal to common/symbols.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace corebox
{

// The source name of a symbol in Rust's "v0" mangling (RFC 2603), as rustc-demangle prints it
// without hashes: "<alloc::vec::Vec<u8> as core::fmt::Debug>::fmt". Nothing if it is none, or newer
// than this. At most about `limit` characters.
std::optional<std::string> rust_v0_name(std::string_view symbol, std::size_t limit);

} // namespace corebox
