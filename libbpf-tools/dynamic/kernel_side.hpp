// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What the running kernel has for generated code: its types, what the verifier makes of them, and
// the maps that such code needs.
#pragma once
#include "base/fd.hpp"
#include "body.h"
#include "capture.hpp"
#include "expr/generate.hpp"
#include "expr/kernel_types.hpp"
#include "expr/program_types.hpp"
#include "session/session.hpp"
#include "tap.hpp"
#include <functional>
#include <map>

namespace corebox
{

// What is generated for a tap, for each kind of program that could run there: by body_form, one may
// be missing.
struct Forms {
    std::unique_ptr<expr::Code> codes[2];
    std::unique_ptr<Capture> captures[2];

    std::uint32_t record_bytes(std::uint32_t least) const;
};

class KernelSide
{
public:
    explicit KernelSide(const Session& session);
    ~KernelSide();

    expr::Types& types() { return types_; }

    // Adds the declarations of files (-I), which come before all other types.
    void include(std::span<const std::string_view> files);
    // Whoever looks for functions and loads programs of this session then reads the kernel's types
    // no second time: these names are what they look for, in one go.
    void lend_types(Session& session, std::vector<KernelBtf::Name> names = {});

    // Of vmlinux, or of the first module whose BTF has it; none: neither.
    std::optional<expr::KernelFunction> find_function(const std::string& name);

    // Fills in the prototype of a tap: the signature that the user wrote, or what BTF and DWARF
    // say. Throws expr::TextError.
    void describe(Tap& tap, const ProbeSpec& spec);

    // `fill` adds what a record holds. Throws expr::TextError where that is possible in no form.
    Forms make_forms(Tap& tap, const ProbeSpec& spec, const RecordHead& head,
                     const std::function<void(Capture&)>& fill);

    // Of one instance; its programs are loaded while they are open.
    struct Maps {
        Fd scratch{}, tables{};
    };
    // Functions of an object that get the bodies of these forms.
    struct Bodies {
        const Forms& forms;
        std::string_view typed, plain;
        Maps& maps;
    };
    // The object (as a skeleton has it) with the bodies.
    std::vector<std::byte> make_object(const void* (*elf_bytes)(std::size_t*),
                                       std::initializer_list<Bodies> bodies);

private:
    // The body of a capture, with the maps it needs.
    Capture::Body generate(const Capture& capture, bool typed, Maps& maps);
    std::optional<Prototype> kernel_prototype(const Tap& tap, const ProbeSpec& spec);
    // And what types are named in that program.
    std::optional<Prototype> program_prototype(Tap& tap);
    // Null: without DWARF.
    expr::ProgramTypes* program_types(const Point& point);
    struct Kernel;
    expr::Types types_;
    std::uint32_t pid_; // whose files are meant; 0: this host's
    std::map<const ObjectFile*, std::shared_ptr<expr::ProgramTypes>> programs_;
    expr::Machine machine_;
    std::unique_ptr<Kernel> kernel_;
    bool own_types_ = true; // the kernel's own, so that programs know them too
};

} // namespace corebox
