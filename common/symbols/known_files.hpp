// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What a launch has found out about programs' files. A tool may have twenty probes in one library: the
// processes are asked for it once, and its symbols are read once.
#pragma once
#include "symbols/user_files.hpp"
#include <list>
#include <map>
#include <string>

namespace corebox
{

class KnownFiles
{
public:
    // libraries_in_use() and libraries_of() (pid not 0), as they were when first asked.
    const std::vector<Object>& libraries(std::span<const std::string_view> libraries,
                                         std::uint32_t pid = 0);

    // Null for what is no ELF file. Until forget().
    const ElfFile* elf(const Object& object);
    // Functions of .symtab and .dynsym; their names live as long.
    const std::vector<RawSymbol>& symbols(const Object& object);

    // Gives the memory back; what has changed since is seen again.
    void forget();

private:
    struct File {
        FileId id;
        std::optional<ElfFile> elf;
        std::optional<std::vector<RawSymbol>> symbols;
    };
    File* file_of(const Object& object);

    std::map<std::string, std::vector<Object>> lists_;
    std::list<File> files_; // names point into them
};

} // namespace corebox
