// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What a generated function writes into a record: which bytes of it are which argument, the
// instructions that put them there, and how they are read again.
#pragma once
#include "expr/evaluate.hpp"
#include "expr/generate.hpp"
#include "expr/parse.hpp"
#include "format.hpp"
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace corebox
{

// An argument of a record.
struct Captured {
    enum class Form : std::uint8_t {
        number, // 8 bytes, extended by its type
        text,   // a u32 with its bytes without the NUL, then these
        bytes,
    };
    Form form = Form::number;
    std::string name{}; // its key in JSON
    Conversion how{};
    expr::NodeId node{};
    expr::Show show = expr::Show::number;
    expr::TypeId type = expr::TypeId::none; // of a number; of what the bytes are
    expr::TypeId named_by = expr::TypeId::none;
    bool is_key = false;                // filled with zeros
    std::uint32_t offset = 0, room = 0; // in the record
};

// Where the head of a record has what a generated function writes besides.
struct RecordHead {
    std::uint32_t size;      // of the head, a multiple of 8
    std::uint32_t missing;   // offset of a u64, a bit an argument
    std::uint32_t undecided; // offset of a u8: only user space can tell whether the event is wanted
};

class Capture
{
public:
    static constexpr std::size_t kMostArguments = 60;
    static constexpr std::uint32_t kMostBytes = 16 << 10; // of a record

    // What is added throws expr::TextError with places in the text of the specification.
    Capture(expr::Code& code, const expr::Names& names, const RecordHead& head)
        : code_(code), names_(names), head_(head), bytes_(head.size)
    {
    }
    // What else names mean here.
    template <class Wrap>
    void wrap_names(Wrap&& wrap)
    {
        names_ = wrap(std::move(names_));
    }
    // Of several all have to hold.
    void set_condition(const Piece& piece);
    // Of a structure no more than this is read.
    void limit_structures(std::uint32_t bytes) { structure_bytes_ = bytes; }
    // `how` without a letter: as its type asks for. `type`: to which the value is converted; none:
    // its own.
    // `name`: what its name is made of, if not the piece.
    void add(const Piece& piece, const Conversion& how, expr::TypeId type = expr::TypeId::none,
             std::string_view name = {});
    // Lays out what was added since the last call: `text_bytes` for texts of which no size is
    // known. `is_key`: what texts have no bytes for is zero, so that equal ones are equal bytes.
    void lay_out(std::uint32_t text_bytes, bool is_key = false);
    // Last: what user space needs to decide what the kernel cannot; its bytes are behind all
    // others.
    void let_user_space_decide();
    bool is_decided_by_kernel() const;

    std::span<const Captured> arguments() const
    {
        return std::span(arguments_).first(arguments_.size() - hidden_);
    }
    // Whether the condition holds, of a record that says that the kernel could not tell.
    bool decide(std::span<const std::byte> record) const;
    std::uint32_t record_bytes() const { return bytes_; } // with all arguments, a multiple of 8
    bool needs_symbols(expr::Show kind) const;
    bool uses(expr::Helper helper) const;

    // The body of `int f(void *ctx, struct record *record)`: 0 where the condition is false, or how
    // many bytes of the record are to be sent.
    struct Body {
        std::vector<bpf_insn> instructions;
        std::vector<std::uint64_t> tables;
        bool uses_scratch = false;
    };
    Body generate(const expr::Machine& machine) const;

private:
    Conversion usual_conversion(const Captured& argument) const;
    void shown_as_text(Captured& argument, const Piece& piece);
    void shown_as_number(Captured& argument, const Piece& piece);
    // The condition over what a record has of it.
    expr::NodeId in_user_space(expr::NodeId test);
    expr::NodeId hide(expr::NodeId operand);
    void emit(expr::Generator& generator, expr::Assembler& out, std::size_t arguments) const;

    expr::Code& code_;
    expr::Names names_;
    RecordHead head_;
    expr::NodeId condition_{}; // none: always
    expr::NodeId user_condition_{};
    mutable expr::Regexes regexes_;
    std::vector<Captured> arguments_; // and behind them `hidden_` operands of the condition
    std::size_t hidden_ = 0;
    std::vector<std::size_t> order_; // in the record
    std::uint32_t bytes_ = 0;
    std::uint32_t structure_bytes_ = kMostBytes;
};

// One argument as a record has it.
struct CapturedValue {
    bool missing = true;
    std::uint64_t number = 0;
    std::span<const std::byte> bytes{}; // of a text or of bytes
    std::string_view text() const
    {
        return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    }
};
CapturedValue read_captured(const Captured& argument, std::size_t number, const RecordHead& head,
                            std::span<const std::byte> record);

// "filename" of "filename", "sk_protocol" of "sk->sk_protocol", "arg2" of "arg2@user"; of longer
// expressions their text. Each is another.
std::string name_of_argument(std::string_view expression, std::span<const Captured> others);

} // namespace corebox
