// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The types and functions of a program or library, from its DWARF or from that of its debug file.
#pragma once
#include "expr/type.hpp"
#include "symbols/elf.hpp"

namespace corebox::expr
{

struct ProgramFunction {
    struct Parameter : expr::Parameter {
        // The number that DWARF gives to the register that has it when the function begins. None:
        // it does not say, or the compiler left the parameter out.
        std::optional<std::uint32_t> dwarf_register{};
    };
    std::vector<Parameter> parameters{};
    TypeId result = TypeId::none;   // none: returns nothing
    bool has_hidden_result = false; // its first argument says where the result goes
    bool is_variadic = false;
    std::uint64_t unit = 0; // for source()
};

class ProgramTypes
{
public:
    // Null where no DWARF is found. `types` lives longer than what is asked of this; `path` and
    // `open` are for a separate debug file.
    static std::shared_ptr<ProgramTypes> read(Types& types, ElfFile file, const std::string& path,
                                              const Opener& open);
    ~ProgramTypes();

    // The function whose code begins at that place of the file.
    std::optional<ProgramFunction> find_function(std::uint64_t file_offset);

    // For Types::set_scope(): what names mean in that unit, then in all others. 0: in any.
    TypeSource source(std::uint64_t unit) const;

private:
    class Impl;
    explicit ProgramTypes(std::shared_ptr<Impl> impl);
    std::shared_ptr<Impl> impl_;
};

} // namespace corebox::expr
