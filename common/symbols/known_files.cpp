// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "symbols/known_files.hpp"
#include "base/text.hpp"
#include <algorithm>

namespace corebox
{

const std::vector<Object>& KnownFiles::libraries(std::span<const std::string_view> libraries,
                                                 std::uint32_t pid)
{
    std::string key = cat(pid);
    for (const std::string_view library : libraries)
        key += cat("\n", library);
    const auto [known, is_new] = lists_.try_emplace(std::move(key));
    if (is_new)
        known->second = pid ? libraries_of(pid, libraries) : libraries_in_use(libraries);
    return known->second;
}

KnownFiles::File* KnownFiles::file_of(const Object& object)
{
    const auto id = identify(*object);
    if (!id)
        return nullptr;
    const auto same = [&](const File& file) {
        return file.id.device == id->device && file.id.inode == id->inode &&
               file.id.size == id->size && file.id.changed_s == id->changed_s &&
               file.id.changed_ns == id->changed_ns;
    };
    if (const auto known = std::ranges::find_if(files_, same); known != files_.end())
        return &*known;
    return &files_.emplace_back(File{*id, open_elf(*object), {}});
}

const ElfFile* KnownFiles::elf(const Object& object)
{
    const File* const file = file_of(object);
    return file && file->elf ? &*file->elf : nullptr;
}

const std::vector<RawSymbol>& KnownFiles::symbols(const Object& object)
{
    static const std::vector<RawSymbol> kNone;
    File* const file = file_of(object);
    if (!file || !file->elf)
        return kNone;
    if (!file->symbols) {
        file->symbols.emplace();
        file->elf->add_symbols(*file->symbols);
    }
    return *file->symbols;
}

void KnownFiles::forget()
{
    lists_.clear();
    files_.clear();
}

} // namespace corebox
