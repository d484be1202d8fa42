// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Man pages, from the tools' declarations.
#pragma once
#include "tool/tool.hpp"

namespace corebox
{

// The page of a tool in man(7) roff. `markdown` is its hand-written TOOL.md: sections "## NAME",
// of which DESCRIPTION, EXAMPLES, OVERHEAD, KERNEL SUPPORT and SEE ALSO are taken. Understood are
// paragraphs, "- " lists, "### " headings, indented or fenced blocks, `code`, **bold**, *italics*.
std::string man_page(const Tool& tool, std::string_view markdown);

// The same for a terminal without man: plain text, with what this program carries of TOOL.md.
std::string plain_page(const Tool& tool);

// corebox(8).
std::string man_page(std::span<const Tool* const> tools);

} // namespace corebox
