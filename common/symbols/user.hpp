// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#pragma once

#include "symbols/stack.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace corebox
{

// An address of a process in words. The views live as long as the UserSymbols they came from.
struct UserFrame {
    // Demangled. Where no symbol holds the address: "libfoo.so.1+0x1234", which addr2line takes
    // once it has the file; "[unknown]" where not even the mapping is known.
    std::string_view name;
    std::string_view object;  // path as the process sees it, or "[vdso]", "[anon]"; may be empty
    std::uint64_t offset = 0; // into the function; unresolved: ELF address in the object
    FrameKind kind = FrameKind::user;
    bool resolved = false;
};

// Names of user addresses of any process, also of one that has ended since it was remembered.
//
// A process is known by its executable mappings; symbol tables are read when first asked for and
// shared by all processes that map the same file. Names come from .symtab, .dynsym, MiniDebugInfo
// (.gnu_debugdata), separate debug files (build id, .gnu_debuglink), the vDSO and, for JITed code,
// /tmp/perf-PID.map. Files are found as the process sees them (its mount namespace and root).
//
// To see other users' processes it needs CAP_SYS_PTRACE; for deleted files also
// CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN. Without them frames stay unresolved; nothing here throws
// for what a traced process, its files or their absence do. Process ids are those of our own /proc.
// Not thread-safe.
class UserSymbols
{
public:
    UserSymbols();
    ~UserSymbols();
    UserSymbols(UserSymbols&&) noexcept;
    UserSymbols& operator=(UserSymbols&&) noexcept;

    // For other programs that the same processes were: knows no process, but shares the files.
    UserSymbols sibling() const;

    // Takes down what the process has mapped now, in addition to what was known of it: one reading
    // of /proc/PID/maps. Call it when a process is first seen, so that it may end before its
    // addresses are looked up; again after an exec or a dlopen, if that matters. The mapped files
    // are held from then on, and may be deleted, replaced or unmounted. A process that has gone
    // changes nothing.
    void remember(std::uint32_t pid);
    bool remembers(std::uint32_t pid) const;

    // Looks at the live process where it was not remembered or has mapped more since.
    UserFrame lookup(std::uint32_t pid, std::uint64_t address, At at = At::instruction);
    // Looks only into what was remembered. `object` is empty where no mapping holds the address.
    UserFrame lookup_remembered(std::uint32_t pid, std::uint64_t address, At at = At::instruction);

private:
    struct Shared;
    struct Impl;
    explicit UserSymbols(std::nullptr_t);
    std::unique_ptr<Impl> impl_;
};

} // namespace corebox
