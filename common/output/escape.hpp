// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Bytes of traced processes on their way out. Whatever they are, the result has no control
// character, no line end, no terminal sequence and no text that reorders what surrounds it.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace corebox
{

// Text and CSV: C escapes (\n, \x1b, \\) for control bytes, invalid UTF-8, C1 controls and
// Unicode's line, paragraph and direction controls; other UTF-8 as it is. Reversible.
// `column`: also the space, so that a value stays one word for awk.
void escape_text(std::string& out, std::string_view s, bool column);

// The same into memory with room for kEscapeGrowth bytes for each byte of `s`; returns the end.
// `plain` is cleared where the text has bytes beyond ASCII, so that its width is not its size.
inline constexpr std::size_t kEscapeGrowth = 6;
char* escape_text(char* out, std::string_view s, bool column, bool& plain);

// Escaped, in quotes, which in the text itself are escaped too.
void escape_quoted(std::string& out, std::string_view s, bool column);

// The inside of a JSON string: always valid UTF-8, so invalid bytes become U+FFFD; returns whether
// any did, so that the caller can add the bytes themselves.
bool escape_json(std::string& out, std::string_view s);
char* escape_json(char* out, std::string_view s, bool& lossy); // room as above

// RFC 4648, with padding: bytes that a reader is to have exactly.
void encode_base64(std::string& out, std::string_view s);

// RFC 4180: quoted where it must be; call it on escaped text.
void quote_csv(std::string& out, std::string_view s);

} // namespace corebox
