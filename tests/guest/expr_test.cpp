// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The code that is generated for expressions: every kernel's verifier takes it, and kernels compute
// with it what the evaluator computes.
#include "../unit/expr_print.hpp"
#include "../unit/expr_world.hpp"
#include "base/error.hpp"
#include "base/fd.hpp"
#include "expr/build.hpp"
#include "expr/kernel_types.hpp"
#include "expr/parse.hpp"
#include "harness.hpp"
#include "kernel/btf.hpp"
#include <bpf/bpf.h>
#include <cstring>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

namespace
{

using namespace corebox::expr;
using namespace corebox::test;
using corebox::Fd;

struct Row {
    std::string_view place, expression;
    // At most, of all kernels: instructions, and those that the verifier follows.
    unsigned instructions, verified;
};
constexpr Row kCorpus[] = {
#include "expr_corpus.inc"
};
#ifdef __aarch64__
constexpr bool kIsArm64 = true;
#else
constexpr bool kIsArm64 = false;
#endif
// What another compiler build of a kernel may add to what a verifier follows.
constexpr unsigned kSlack = 8;

// Fields of the record that the corpus names, and of the tracepoint.
struct Field {
    std::string_view name;
    std::int64_t offset;
    unsigned bytes;
    bool is_signed, is_text;
};
constexpr Field kRecord[] = {
    {"pid", 0, 4, false, false},    {"uid", 4, 4, false, false},    {"lat_us", 8, 8, false, false},
    {"ret", 16, 8, true, false},    {"flags", 24, 4, false, false}, {"small", 28, 2, true, false},
    {"byte", 30, 1, false, false},  {"bytes", 32, 8, false, false}, {"comm", 40, 16, false, true},
    {"path", 56, 256, false, true},
};
constexpr Field kSwitch[] = {
    {"prev_comm", 8, 16, false, true},  {"prev_pid", 24, 4, true, false},
    {"prev_prio", 28, 4, true, false},  {"prev_state", 32, 8, true, false},
    {"next_comm", 40, 16, false, true}, {"next_pid", 56, 4, true, false},
    {"next_prio", 60, 4, true, false},
};

struct Tracepoint {
    const char* name;
    const char* arguments[3];
};
constexpr Tracepoint kTracepoints[] = {{"sched_switch", {"preempt", "prev", "next"}},
                                       {"sys_enter", {"regs", "id", ""}}};

NodeId field(Code& code, NodeId base, std::span<const Field> fields, std::string_view name)
{
    for (const Field& f : fields)
        if (f.name == name)
            return f.is_text ? make_text(code, base, f.offset, f.bytes)
                             : make_load(code, base, f.offset,
                                         code.types().integer(f.bytes, f.is_signed));
    return NodeId::none;
}

constexpr std::size_t kRecordBytes = 1024;

// What a verifier said last.
std::string end_of(std::string log)
{
    log.resize(std::strlen(log.c_str()));
    return log.substr(log.size() > 3000 ? log.size() - 3000 : 0);
}

class Corpus
{
public:
    Corpus()
    {
        types_.add_source(kernel_.source());
        std::vector<std::string> functions{"vfs_read", "__dev_queue_xmit", "do_sys_openat2",
                                           "vfs_fsync_range"};
        for (KernelFunction& f : kernel_.find_functions(functions))
            functions_[f.name] = f;
        // BTF has their types, but no names.
        for (const auto& [name, names] : kTracepoints)
            if (auto f = kernel_.find_tracepoint(name)) {
                for (std::size_t i = 0; i < std::min(f->parameters.size(), std::size(names)); i++)
                    f->parameters[i].name = names[i];
                functions_[name] = *f;
            }
        scratch_ =
            Fd(::bpf_map_create(BPF_MAP_TYPE_PERCPU_ARRAY, nullptr, 4, kScratchBytes, 1, nullptr));
        record_ = Fd(::bpf_map_create(BPF_MAP_TYPE_ARRAY, nullptr, 4, kRecordBytes, 1, nullptr));
        has_task_btf_ = loads(BPF_PROG_TYPE_KPROBE, BPF_FUNC_get_current_task_btf);
    }

    // The code of one expression, as a program of its place. Sets the instructions of its test.
    std::vector<bpf_insn> generate(const Row& row, unsigned& instructions);
    // Loads it; the log and what the verifier followed.
    bool load(const Row& row, std::span<const bpf_insn> code, std::string& log, unsigned& verified);

    Fd make_tables(std::size_t bytes) const
    {
        return Fd(::bpf_map_create(BPF_MAP_TYPE_ARRAY, nullptr, 4,
                                   std::max<unsigned>(8, unsigned(bytes)), 1, nullptr));
    }
    int scratch() const { return scratch_.get(); }
    int record() const { return record_.get(); }
    bool has_task_btf() const { return has_task_btf_; }

private:
    static bool loads(bpf_prog_type type, int helper)
    {
        Assembler out;
        out.call(helper);
        out.move(0, std::int64_t(0));
        out.exit();
        const auto code = out.finish();
        return Fd(::bpf_prog_load(type, nullptr, "GPL", code.data(), code.size(), nullptr)).get() >=
               0;
    }
    Names names(const Code& code, std::string_view kind, const KernelFunction* function);
    NodeId common(Code& code, std::string_view name);

    corebox::KernelBtf btf_{};
    Types types_{};
    KernelTypes kernel_{types_, btf_};
    std::map<std::string, KernelFunction, std::less<>> functions_{};
    Fd scratch_{}, record_{};
    std::vector<Fd> tables_{};
    bool has_task_btf_ = false;
};

NodeId Corpus::common(Code& code, std::string_view name)
{
    const TypeId word = types_.integer(8, false), half = types_.integer(4, false);
    const auto of = [&](Helper helper, int shift) {
        NodeId value = make_helper(code, helper, word);
        if (shift)
            value = make_arithmetic(code, Op::shift_right, value, make_int(code, shift));
        return corebox::expr::convert(code, value, half);
    };
    const auto task = [&] {
        return make_helper(code, Helper::task,
                           types_.pointer_to(*types_.find("struct", "task_struct"), Space::kernel));
    };
    if (name == "$pid")
        return of(Helper::pid_tgid, 0);
    if (name == "$tgid")
        return of(Helper::pid_tgid, 32);
    if (name == "$uid")
        return of(Helper::uid_gid, 0);
    if (name == "$gid")
        return of(Helper::uid_gid, 32);
    if (name == "$cpu")
        return corebox::expr::convert(code, make_helper(code, Helper::cpu, word), half);
    if (name == "$nsecs")
        return make_helper(code, Helper::ktime_ns, word);
    if (name == "$cgroup")
        return make_helper(code, Helper::cgroup_id, word);
    if (name == "$task")
        return task();
    if (name == "$comm") {
        const auto member = types_.member(*types_.find("struct", "task_struct"), "comm");
        return make_text(code, task(), member->bit / 8, 16);
    }
    return NodeId::none;
}

Names Corpus::names(const Code& all, std::string_view kind, const KernelFunction* function)
{
    constexpr std::int64_t kRegisters[] = {112, 104, 96, 88, 72, 64}; // x86: di si dx cx r8 r9
    Names names;
    names.find = [this, kind, function, kRegisters](Code& code, std::string_view name) {
        if (kind == "record")
            return field(code, make_record(code), kRecord, name);
        if (const NodeId node = common(code, name); node != NodeId::none || !function)
            return node;
        const bool is_typed = kind == "fentry" || kind == "fexit" || kind == "tp_btf";
        const auto word = [&](std::int64_t offset, TypeId type) {
            const Type& t = types_[type];
            const bool trusted = is_typed && t.kind == Type::Kind::pointer &&
                                 t.space == Space::kernel && types_[t.target].kernel_id != 0;
            return code.add({.op = Op::load,
                             .trusted = trusted,
                             .type = type,
                             .size = 8,
                             .a = make_context(code),
                             .value = offset});
        };
        if (name == "retval" || name == "$retval")
            return word(std::int64_t(8 * function->parameters.size()), function->result);
        for (std::size_t i = 0; i < function->parameters.size(); i++)
            if (function->parameters[i].name == name)
                return word(kind == "kprobe" ? kRegisters[i] : std::int64_t(8 * i),
                            function->parameters[i].type);
        return NodeId::none;
    };
    names.field = [](Code& code, std::string_view, std::string_view member) {
        return field(code, make_context(code), kSwitch, member);
    };
    names.measure = [&all, kind](NodeId value) {
        const bool is_time = kind == "record" && all[value].op == Op::load && all[value].value == 8;
        return is_time ? Measure{1, 1000} : Measure{};
    };
    return names;
}

std::vector<bpf_insn> Corpus::generate(const Row& row, unsigned& instructions)
{
    const std::string_view kind = row.place.substr(0, row.place.find(':'));
    const std::string_view target = row.place.substr(kind.size() + 1);
    const auto function = functions_.find(target);
    Code code(types_);
    const NodeId test = parse_condition(
        code, names(code, kind, function == functions_.end() ? nullptr : &function->second),
        row.expression);
    Machine machine;
    machine.typed = kind == "fentry" || kind == "fexit" || kind == "tp_btf";
    machine.task_btf = has_task_btf_;
    machine.arm64 = kIsArm64;
    machine.scratch_fd = scratch_.get();
    machine.structs = kernel_.structs();
    std::vector<bpf_insn> body;
    for (int turn = 0; turn < 2; turn++) { // the first says how large the tables are
        Assembler out;
        Generator generator(code, machine, out);
        const Label yes = out.new_label(), no = out.new_label();
        out.move(6, 1);
        if (kind == "record")
            out.map_value(7, record_.get(), 0);
        generator.condition(test, yes, no, yes);
        out.bind(yes);
        out.move(8, std::int64_t(1)); // so that both ways are there
        out.bind(no);
        out.move(0, std::int64_t(0));
        out.exit();
        if (generator.tables().empty() || turn == 1) {
            body = out.finish();
            break;
        }
        tables_.push_back(make_tables(generator.tables().size_bytes()));
        machine.tables_fd = tables_.back().get();
    }
    instructions = unsigned(body.size());
    return body;
}

bool Corpus::load(const Row& row, std::span<const bpf_insn> code, std::string& log,
                  unsigned& verified)
{
    const std::string_view kind = row.place.substr(0, row.place.find(':'));
    const std::string_view target = row.place.substr(kind.size() + 1);
    LIBBPF_OPTS(bpf_prog_load_opts, options);
    bpf_prog_type type = BPF_PROG_TYPE_TRACING;
    if (kind == "fentry")
        options.expected_attach_type = BPF_TRACE_FENTRY;
    else if (kind == "fexit")
        options.expected_attach_type = BPF_TRACE_FEXIT;
    else if (kind == "tp_btf")
        options.expected_attach_type = BPF_TRACE_RAW_TP;
    else
        type = kind == "kprobe"       ? BPF_PROG_TYPE_KPROBE
               : kind == "tracepoint" ? BPF_PROG_TYPE_TRACEPOINT
                                      : BPF_PROG_TYPE_RAW_TRACEPOINT;
    if (type == BPF_PROG_TYPE_TRACING)
        options.attach_btf_id = functions_.find(target)->second.id;
    log.assign(1 << 16, '\0');
    options.log_level = 4; // what it followed; without it nothing is written of what it takes
    options.log_buf = log.data();
    options.log_size = std::uint32_t(log.size());
    Fd fd(::bpf_prog_load(type, nullptr, "GPL", code.data(), code.size(), &options));
    log.resize(std::strlen(log.c_str()));
    const std::size_t at = log.find("processed ");
    verified = at == log.npos ? 0 : unsigned(std::stoul(log.substr(at + 10)));
    if (fd.get() >= 0)
        return true;
    log.assign(1 << 20, '\0');
    options.log_level = 1;
    options.log_buf = log.data();
    options.log_size = std::uint32_t(log.size());
    fd = Fd(::bpf_prog_load(type, nullptr, "GPL", code.data(), code.size(), &options));
    log.resize(std::strlen(log.c_str()));
    return false;
}

TEST(Expr, CorpusLoads)
{
    Corpus corpus;
    std::string counts;
    unsigned more = 0;
    for (const Row& row : kCorpus) {
        SCOPED_TRACE(std::string(row.place) + " " + std::string(row.expression));
        if (kIsArm64 && row.expression.find("regs->") != row.expression.npos)
            continue; // x86's registers
        unsigned instructions = 0, verified = 0;
        std::string log;
        std::vector<bpf_insn> code;
        try {
            code = corpus.generate(row, instructions);
        } catch (const TextError& error) {
            ADD_FAILURE() << point_at(row.expression, error);
            continue;
        } catch (const corebox::Failure& failure) {
            ADD_FAILURE() << failure.message;
            continue;
        }
        EXPECT_TRUE(corpus.load(row, code, log, verified)) << end_of(log);
        counts += std::to_string(&row - kCorpus) + " " + std::to_string(instructions) + " " +
                  std::to_string(verified) + "\n";
        more +=
            instructions > row.instructions || verified > row.verified + kSlack + row.verified / 50;
    }
    EXPECT_EQ(more, 0u) << "of these more than in expr_corpus.inc; scripts/record-expr-counts:\n"
                        << counts;
}

// Memory of this process that FakeKernel's pointers point to, with nothing behind it.
class Mapped
{
public:
    Mapped(std::uint64_t at, std::size_t bytes) : bytes_(bytes)
    {
        at_ = ::mmap(reinterpret_cast<void*>(at), bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        if (at_ == MAP_FAILED)
            throw std::runtime_error("mmap");
    }
    ~Mapped() { ::munmap(at_, bytes_); }
    Mapped(const Mapped&) = delete;
    Mapped& operator=(const Mapped&) = delete;
    void set(std::span<const std::byte> bytes) const
    {
        std::memcpy(at_, bytes.data(), bytes.size());
    }

private:
    void* at_;
    std::size_t bytes_;
};

// Several expressions make one program, which leaves each one's result behind the record.
TEST(Expr, KernelsComputeAsTheEvaluator)
{
    constexpr std::size_t kPrograms = 125, kEach = 8, kTableBytes = 1 << 16;
    std::mt19937_64 random(20261130 + turn_of_kernel());
    Corpus corpus;
    FakeKernel kernel(true);
    kernel.pid = std::uint64_t(::getpid()) << 32 | std::uint64_t(::gettid());
    const Mapped memory(kernel.base, FakeKernel::kMemory),
        user(FakeKernel::kUser, FakeKernel::kMemory);
    const Fd tables = corpus.make_tables(kTableBytes);
    std::vector<std::uint64_t> table(kTableBytes / 8);
    std::size_t results[3] = {};
    for (std::size_t n = 0; n < kPrograms; n++) {
        Code code(kernel.types);
        RandomCode build(code, kernel, random);
        Machine machine;
        machine.scratch_fd = corpus.scratch();
        machine.tables_fd = tables.get();
        machine.arm64 = kIsArm64;
        Assembler out;
        Generator generator(code, machine, out);
        out.move(6, 1);
        out.map_value(7, corpus.record(), 0);
        std::vector<NodeId> tests;
        for (std::size_t i = 0; i < kEach; i++) {
            tests.push_back(build.test(int(random() % 4)));
            const Label labels[] = {out.new_label(), out.new_label(), out.new_label()},
                        done = out.new_label();
            generator.condition(tests.back(), labels[1], labels[0], labels[2]);
            for (std::size_t result = 0; result < 3; result++) {
                out.bind(labels[result]);
                out.store_imm(1, 7, std::int32_t(kernel.record.size() + i), std::int32_t(result));
                out.jump(done);
            }
            out.bind(done);
        }
        out.move(0, std::int64_t(0));
        out.exit();
        ASSERT_LE(generator.tables().size(), table.size());
        const auto body = out.finish();
        LIBBPF_OPTS(bpf_prog_load_opts, options);
        std::string log(1 << 20, '\0');
        const auto load = [&] {
            return Fd(::bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, nullptr, "GPL", body.data(),
                                      body.size(), &options));
        };
        Fd program = load();
        if (program.get() < 0) {
            options.log_level = 1;
            options.log_buf = log.data();
            options.log_size = std::uint32_t(log.size());
            program = load();
            FAIL() << end_of(log);
        }
        std::ranges::copy(generator.tables(), table.begin());
        const std::uint32_t zero = 0;
        ASSERT_EQ(::bpf_map_update_elem(tables.get(), &zero, table.data(), 0), 0);
        for (int world = 0; world < 2; world++) {
            kernel.shuffle(random);
            memory.set(kernel.memory);
            user.set(kernel.user);
            std::array<std::byte, kRecordBytes> record{};
            std::ranges::copy(kernel.record, record.begin());
            ASSERT_EQ(::bpf_map_update_elem(corpus.record(), &zero, record.data(), 0), 0);
            LIBBPF_OPTS(bpf_test_run_opts, run);
            run.ctx_in = kernel.context.data();
            run.ctx_size_in = 64;
            ASSERT_EQ(::bpf_prog_test_run_opts(program.get(), &run), 0);
            ASSERT_EQ(::bpf_map_lookup_elem(corpus.record(), &zero, record.data()), 0);
            for (std::size_t i = 0; i < kEach; i++) {
                const Truth truth = corebox::expr::test(code, tests[i], kernel.world());
                const auto expected = truth == Truth::yes ? 1 : truth == Truth::no ? 0 : 2;
                const auto got = int(record[kernel.record.size() + i]);
                results[got % 3]++;
                if (got == 2 && side_of(code, tests[i]) != Side::kernel)
                    continue;
                ASSERT_EQ(got, expected)
                    << n << ": " << print(code, tests[i]) << kernel.show_context();
            }
        }
    }
    EXPECT_GT(results[0], 300u);
    EXPECT_GT(results[1], 300u);
}

} // namespace
