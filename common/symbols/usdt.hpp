// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Probes that a program or library was built with (USDT: sys/sdt.h), as its notes tell.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace corebox
{

class ElfFile;
struct Segment;

struct UsdtNote {
    std::string provider, name;
    std::string arguments;       // as the assembler wrote them: "-4@%edi 8@-16(%rbp)"
    std::uint64_t offset = 0;    // in the file, of the instruction
    std::uint64_t semaphore = 0; // in the file, of the counter of its users; 0: none

    bool operator==(const UsdtNote&) const = default;
};

// In the order of the file. Notes that do not fit the file are left out.
std::vector<UsdtNote> usdt_notes(const ElfFile& file);
// The notes of a section ".note.stapsdt". `base`: where ".stapsdt.base" is now, 0 if nowhere.
std::vector<UsdtNote> parse_usdt(std::string_view section, bool is_64, std::uint64_t base,
                                 const std::vector<Segment>& segments);

// The file position of an address that a segment holds.
bool file_offset(const std::vector<Segment>& segments, std::uint64_t address, bool executable,
                 std::uint64_t& offset);

// "-4@%edi": size in bytes, negative where it is signed, and the operand.
struct UsdtArgument {
    int size = 0; // 0: not told
    std::string_view operand;
};
std::vector<UsdtArgument> usdt_arguments(std::string_view arguments);

} // namespace corebox
