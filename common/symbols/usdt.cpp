// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "symbols/usdt.hpp"
#include "base/text.hpp"
#include "symbols/elf.hpp"
#include <cstring>

namespace corebox
{
namespace
{

constexpr std::size_t kMaxNotes = 64u << 20;
constexpr std::uint32_t kStapsdtType = 3; // sys/sdt.h: _SDT_NOTE_TYPE
constexpr std::string_view kStapsdtName{"stapsdt\0", 8};

constexpr std::size_t padded(std::size_t n) { return (n + 3) / 4 * 4; }

} // namespace

bool file_offset(const std::vector<Segment>& segments, std::uint64_t address, bool executable,
                 std::uint64_t& offset)
{
    for (const Segment& s : segments)
        if ((s.executable || !executable) && address >= s.address &&
            address - s.address < s.file_size) {
            offset = address - s.address + s.offset;
            return true;
        }
    return false;
}

std::vector<UsdtNote> parse_usdt(std::string_view section, bool is_64, std::uint64_t base,
                                 const std::vector<Segment>& segments)
{
    std::vector<UsdtNote> notes;
    const std::size_t word = is_64 ? 8 : 4;
    while (section.size() >= 12) {
        std::uint32_t header[3]; // sizes of name and description, type
        std::memcpy(header, section.data(), sizeof header);
        section.remove_prefix(sizeof header);
        if (header[0] > section.size() || padded(header[0]) > section.size() ||
            header[1] > section.size() - padded(header[0]))
            break;
        const std::string_view name = section.substr(0, header[0]);
        std::string_view text = section.substr(padded(header[0]), header[1]);
        section.remove_prefix(std::min(padded(header[0]) + padded(header[1]), section.size()));
        if (name != kStapsdtName || header[2] != kStapsdtType || text.size() < 3 * word)
            continue;
        std::uint64_t addresses[3] = {}; // instruction, .stapsdt.base when linked, semaphore
        for (std::uint64_t& a : addresses) {
            std::memcpy(&a, text.data(), word);
            text.remove_prefix(word);
        }
        const std::uint64_t moved = base && addresses[1] ? base - addresses[1] : 0; // by prelink
        const auto next = [&] {
            const auto end = std::min(text.find('\0'), text.size());
            std::string part(text.substr(0, end));
            text.remove_prefix(std::min(end + 1, text.size()));
            return part;
        };
        UsdtNote note;
        note.provider = next();
        note.name = next();
        note.arguments = next();
        if (note.name.empty() || !file_offset(segments, addresses[0] + moved, true, note.offset))
            continue;
        if (addresses[2] && !file_offset(segments, addresses[2] + moved, false, note.semaphore))
            continue;
        notes.push_back(std::move(note));
    }
    return notes;
}

std::vector<UsdtNote> usdt_notes(const ElfFile& file)
{
    const auto section = file.section(".note.stapsdt", kMaxNotes);
    if (!section)
        return {};
    return parse_usdt(*section, file.is_64(), file.section_address(".stapsdt.base").value_or(0),
                      file.segments());
}

std::vector<UsdtArgument> usdt_arguments(std::string_view arguments)
{
    std::vector<UsdtArgument> out;
    while (!arguments.empty()) {
        // An operand may hold blanks within brackets ("[sp, 12]" on AArch64).
        std::size_t end = 0;
        for (int depth = 0; end < arguments.size() && (arguments[end] != ' ' || depth > 0); end++)
            depth += arguments[end] == '[' || arguments[end] == '('   ? 1
                     : arguments[end] == ']' || arguments[end] == ')' ? -1
                                                                      : 0;
        const std::string_view one = arguments.substr(0, end);
        arguments.remove_prefix(std::min(end + 1, arguments.size()));
        if (one.empty())
            continue;
        const auto at = one.find('@');
        const auto size = at == one.npos ? std::nullopt : to_number<int>(one.substr(0, at));
        out.push_back({size.value_or(0), size ? one.substr(at + 1) : one});
    }
    return out;
}

} // namespace corebox
