// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Internal to common/symbols.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace corebox
{

// Not libiberty's rust_demangle(), for traced programs choose the names: 19 bytes,
// "_RC1aYFGzzzzz_EuC1b", keep it busy for 57 s, and each further 'z' 62 times as long (20230104).
// Of 36 703 symbols of rustc 1.95 both give the same names, in code of the same size (13 KB).
//
// The source name of a symbol in Rust's "v0" mangling (RFC 2603), as rustc-demangle prints it
// without hashes: "<alloc::vec::Vec<u8> as core::fmt::Debug>::fmt". Nothing if it is none, or newer
// than this. At most about `limit` characters.
std::optional<std::string> rust_v0_name(std::string_view symbol, std::size_t limit);

} // namespace corebox
