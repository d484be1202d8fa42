// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What names mean in an expression at a place where a program runs: arguments, return values,
// fields of a tracepoint, registers, the running task. All become the typed form (expr/ir.hpp), so
// that nothing behind this knows what kind of place it is.
#pragma once
#include "abi/usdt.h"
#include "calling.hpp"
#include "expr/declarations.hpp"
#include "expr/kernel_types.hpp"
#include "expr/parse.hpp"
#include "spec.hpp"
#include "tracepoint_fields.hpp"
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace corebox
{

// What is known of a function or a raw tracepoint.
struct Prototype {
    std::vector<expr::Parameter> parameters;
    expr::TypeId returns = expr::TypeId::none; // none: nothing, or it is not known
    bool by_user = false;                      // so the verifier may know it to be otherwise
    bool is_variadic = false;
    ArgumentWords words_of{};       // where each parameter is; empty: the nth in the nth word
    ArgumentWords typed_words_of{}; // the same for programs whose context is typed
    // Words of the arguments that the function really has, behind which a fexit program finds what
    // it returns.
    std::optional<std::uint32_t> words{};
};

Prototype prototype_of(const expr::Types& types, const expr::KernelFunction& function);

// How what is known reaches a program of a kind.
enum class ContextForm : std::uint8_t {
    typed,      // words; the verifier knows their types: fentry, fexit, tp_btf
    words,      // raw_tp
    registers,  // kprobe, uprobe and their returns
    tracepoint, // the record of the event
};

struct Place {
    PlaceKind kind = PlaceKind::entry;
    bool of_program = false;              // in user space
    bool is_wrapper = false;              // of a system call: its arguments are in another pt_regs
    std::string name{};                   // for messages
    std::optional<Prototype> prototype{}; // without it arguments are words
    // What names of types mean there; null: what they mean in the kernel.
    std::shared_ptr<const expr::TypeSource> types{};
    std::vector<TracepointField> fields{};
    std::vector<usdt_operand> operands{};
    unsigned user_arguments = 0; // bit n - 1: argument n points into user space
    // Where the record has the process and the thread as the tool's own PID namespace sees them.
    std::optional<std::int32_t> record_pid{}, record_tid{};
    bool reads_registers = false; // set where an expression does: ctx->di
};

// Whether a kernel function's arguments are behind a pointer to registers.
bool is_syscall_wrapper(std::string_view function);

// `place` lives as long as what is returned. Names of a place that this form has not throw
// expr::TextError.
expr::Names names_at(Place& place, ContextForm form);

} // namespace corebox
