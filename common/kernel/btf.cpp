// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "kernel/btf.hpp"
#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/text.hpp"
#include <algorithm>
#include <array>
#include <bit>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <cerrno>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <sys/mman.h>
#include <sys/stat.h>
#include <tuple>
#include <unordered_map>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace corebox
{

struct KernelBtf::Type : btf_type {
};

namespace
{

constexpr std::size_t kPage = 4096;   // any size would do
constexpr std::size_t kMaxName = 512; // KSYM_NAME_LEN

// Size of what follows a btf_type (linux/btf.h): a fixed part and one for each of its vlen.
struct Tail {
    std::uint32_t fixed, each;
};
constexpr auto kTails = [] {
    std::array<Tail, 32> t{};
    t[BTF_KIND_INT] = t[BTF_KIND_VAR] = t[BTF_KIND_DECL_TAG] = {4, 0};
    t[BTF_KIND_ARRAY] = {sizeof(struct btf_array), 0};
    t[BTF_KIND_STRUCT] = t[BTF_KIND_UNION] = {0, sizeof(struct btf_member)};
    t[BTF_KIND_ENUM] = {0, sizeof(struct btf_enum)};
    t[BTF_KIND_ENUM64] = {0, 12};
    t[BTF_KIND_FUNC_PROTO] = {0, sizeof(struct btf_param)};
    t[BTF_KIND_DATASEC] = {0, sizeof(struct btf_var_secinfo)};
    return t;
}();

std::size_t tail_size(const btf_type* t)
{
    const Tail tail = kTails[btf_kind(t)];
    return tail.fixed + tail.each * btf_vlen(t);
}

// Anonymous memory, all pages at once: a page fault costs more than filling the page.
std::span<std::byte> map_pages(std::size_t size)
{
    void* p = ::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    return p == MAP_FAILED ? std::span<std::byte>{}
                           : std::span<std::byte>{static_cast<std::byte*>(p), size};
}

void unmap_pages(std::span<const std::byte> pages)
{
    ::munmap(const_cast<std::byte*>(pages.data()), pages.size());
}

// As a BPF object, in one call: 5.11+, CAP_SYS_ADMIN. vmlinux's is the first that was made.
std::span<const std::byte> read_by_id()
{
    __u32 id = 0;
    if (bpf_btf_get_next_id(0, &id) != 0)
        return {};
    const Fd fd(bpf_btf_get_fd_by_id(id));
    char name[16] = {};
    bpf_btf_info info{};
    info.name = reinterpret_cast<__u64>(name);
    info.name_len = sizeof name;
    __u32 size = sizeof info;
    if (!fd || bpf_obj_get_info_by_fd(fd.get(), &info, &size) != 0 || !info.kernel_btf ||
        std::string_view(name) != "vmlinux")
        return {};
    const auto pages = map_pages(info.btf_size);
    if (pages.empty())
        return {};
    bpf_btf_info data{};
    data.btf = reinterpret_cast<__u64>(pages.data());
    data.btf_size = __u32(pages.size());
    size = sizeof data;
    if (bpf_obj_get_info_by_fd(fd.get(), &data, &size) == 0)
        return pages;
    unmap_pages(pages);
    return {};
}

// Since 6.16 the kernel's copy itself can be mapped.
std::span<const std::byte> map_from_sysfs()
{
    const Fd fd(::open("/sys/kernel/btf/vmlinux", O_RDONLY | O_CLOEXEC));
    struct stat st {
    };
    if (!fd || ::fstat(fd.get(), &st) != 0 || st.st_size == 0)
        return {};
    void* p = ::mmap(nullptr, std::size_t(st.st_size), PROT_READ, MAP_PRIVATE, fd.get(), 0);
    return p == MAP_FAILED
               ? std::span<const std::byte>{}
               : std::span<const std::byte>{static_cast<std::byte*>(p), std::size_t(st.st_size)};
}

std::span<const std::byte> read_from_sysfs()
{
    const Fd fd(::open("/sys/kernel/btf/vmlinux", O_RDONLY | O_CLOEXEC));
    struct stat st {
    };
    if (!fd || ::fstat(fd.get(), &st) != 0 || st.st_size == 0)
        return {};
    const auto pages = map_pages(std::size_t(st.st_size));
    std::size_t have = 0;
    while (have < pages.size()) {
        const ssize_t n = ::read(fd.get(), pages.data() + have, pages.size() - have);
        if (n <= 0)
            break;
        have += std::size_t(n);
    }
    if (have == pages.size())
        return pages;
    if (!pages.empty())
        unmap_pages(pages);
    return {};
}

// Whether a number may be one of few: most others are told apart at once.
class Prefilter
{
public:
    void add(std::uint32_t number) { set_[slot(number)] = true; }
    bool may_have(std::uint32_t number) const { return set_[slot(number)]; }

private:
    static std::size_t slot(std::uint32_t number) { return number * 2654435761u >> 19; }
    std::array<bool, 8192> set_{};
};

// The high bit of each byte that is 0.
std::uint64_t nul_bytes(std::uint64_t word)
{
    constexpr std::uint64_t kLow = 0x7f7f7f7f7f7f7f7f;
    return ~(((word & kLow) + kLow) | word | kLow);
}

std::uint64_t load_word(const char* bytes)
{
    static_assert(std::endian::native == std::endian::little);
    std::uint64_t word = 0;
    std::memcpy(&word, bytes, sizeof word);
    return word;
}

// What a string begins with, as a number: three bytes, its NUL and what follows included, and eight
// without what follows.
std::uint32_t first_three(const char* s) { return std::uint32_t(load_word(s)) & 0xffffff; }
std::uint32_t first_eight(const char* s)
{
    std::uint64_t word = load_word(s);
    if (const std::uint64_t nul = nul_bytes(word))
        word &= (nul & -nul) - 1;
    return std::uint32_t(word ^ word >> 32) * 31 + std::uint32_t(word >> 32);
}

// Whether a string may be one of few names.
class NameFilter
{
public:
    void add(std::string_view name)
    {
        char text[16] = {};
        name.copy(text, 8);
        eight_.add(first_eight(text));
        if (name.size() >= 2)
            three_.add(first_three(text));
        else
            for (int next = 0; next < 256; next++) { // what follows the NUL is another name
                text[name.size() + 1] = char(next);
                three_.add(first_three(text));
            }
    }
    // Looks at eight bytes, whatever the length.
    bool may_have(const char* s) const
    {
        return three_.may_have(first_three(s)) && eight_.may_have(first_eight(s));
    }

private:
    Prefilter three_, eight_;
};

// A bit for each of 32 bytes that is 0. Kernels have two megabytes of names.
std::uint32_t nuls_of_32(const char* bytes)
{
#ifdef __SSE2__
    const auto of_16 = [](const char* b) {
        const __m128i all = _mm_loadu_si128(reinterpret_cast<const __m128i*>(b));
        return std::uint32_t(_mm_movemask_epi8(_mm_cmpeq_epi8(all, _mm_setzero_si128())));
    };
    return of_16(bytes) | of_16(bytes + 16) << 16;
#else
    std::uint32_t nuls = 0;
    for (unsigned i = 0; i < 32; i++)
        nuls |= std::uint32_t(bytes[i] == '\0') << i;
    return nuls;
#endif
}

// Calls each(place) for the NULs in the first bytes; returns how many bytes it has looked at.
template <class Each>
std::size_t for_each_nul(const char* bytes, std::size_t size, Each&& each)
{
    const char* const end = bytes + size / 32 * 32;
    for (const char* at = bytes; at != end; at += 32)
        for (std::uint32_t nuls = nuls_of_32(at); nuls; nuls &= nuls - 1)
            each(at + unsigned(std::countr_zero(nuls)));
    return std::size_t(end - bytes);
}

std::uint32_t kind_class(std::uint32_t kind)
{
    return kind == BTF_KIND_ENUM64 ? std::uint32_t(BTF_KIND_ENUM) : kind;
}

} // namespace

std::set<std::string, std::less<>> mentioned_by_modules(std::span<const std::string> names)
{
    std::set<std::string, std::less<>> mentioned;
    const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir("/sys/kernel/btf"), ::closedir);
    while (const dirent* entry = dir ? ::readdir(dir.get()) : nullptr) {
        const std::string_view file = entry->d_name;
        if (file == "vmlinux" || file.starts_with(".") || mentioned.size() == names.size())
            continue;
        const auto btf = read_file(cat("/sys/kernel/btf/", file));
        for (const std::string& name : names)
            if (btf && btf->find(cat('\0', name, '\0')) != btf->npos)
                mentioned.insert(name);
    }
    return mentioned;
}

KernelBtf::KernelBtf(const std::function<KernelMemory*()>& memory) : mapped_(true)
{
    raw_ = map_from_sysfs();
    if (raw_.empty())
        if (KernelMemory* from = memory(); from && !from->empty() && read_pieces(*from))
            return;
    if (raw_.empty())
        raw_ = read_by_id();
    if (raw_.empty())
        raw_ = read_from_sysfs();
    check();
}

KernelBtf::KernelBtf(std::span<const std::byte> raw) : raw_(raw) { check(); }

KernelBtf::KernelBtf(std::unique_ptr<unsigned char[]> raw, std::size_t size)
    : owned_(std::move(raw)), raw_(reinterpret_cast<const std::byte*>(owned_.get()), size)
{
    check();
}

KernelBtf::~KernelBtf()
{
    if (mapped_ && !raw_.empty())
        unmap_pages(raw_);
}

// What find() goes through it reads piece by piece and keeps nothing of; of the little that is
// looked at again have() fetches the pages.
bool KernelBtf::read_pieces(KernelMemory& memory)
{
    address_ = memory.address("__start_BTF");
    const auto start = memory.read(address_, sizeof(btf_header));
    btf_header header{};
    if (address_ == 0 || start.size() < sizeof header)
        return false;
    std::memcpy(&header, start.data(), sizeof header);
    const std::size_t strings = std::size_t(header.hdr_len) + header.str_off;
    const std::size_t size = strings + header.str_len;
    if (header.magic != BTF_MAGIC || header.hdr_len < sizeof header || size > (64u << 20))
        return false;
    void* p = ::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return false;
    ::madvise(p, size, MADV_NOHUGEPAGE); // one of which costs more than all that will be used
    raw_ = {static_cast<std::byte*>(p), size};
    memory_ = &memory;
    pages_.resize(size / kPage + 1);
    have(0, sizeof header);
    have(size - 1, 1);
    check();
    if (!empty())
        return true;
    unmap_pages(raw_);
    raw_ = {};
    memory_ = nullptr;
    return false;
}

void KernelBtf::have(std::size_t offset, std::size_t size) const
{
    if (!memory_)
        return;
    const std::size_t end = std::min(offset + size, raw_.size());
    for (std::size_t page = offset / kPage; page * kPage < end; page++) {
        if (pages_[page])
            continue;
        std::size_t last = page;
        while ((last + 1) * kPage < end && !pages_[last + 1] &&
               (last + 2 - page) * kPage <= KernelMemory::kMost)
            last++;
        const std::size_t from = page * kPage, to = std::min((last + 1) * kPage, raw_.size());
        const auto bytes = memory_->read(address_ + from, to - from);
        if (bytes.size() != to - from)
            fail("cannot read the kernel's BTF", EFAULT);
        std::memcpy(const_cast<std::byte*>(raw_.data()) + from, bytes.data(), bytes.size());
        std::fill(pages_.begin() + std::ptrdiff_t(page), pages_.begin() + std::ptrdiff_t(last) + 1,
                  true);
        page = last;
    }
}

std::span<const std::byte> KernelBtf::piece(std::size_t offset, std::size_t end) const
{
    if (!memory_)
        return raw_.subspan(offset, end - offset);
    const std::size_t size = std::min(end - offset, KernelMemory::kMost);
    const auto bytes = memory_->read(address_ + offset, size);
    if (bytes.size() != size)
        fail("cannot read the kernel's BTF", EFAULT);
    return bytes;
}

void KernelBtf::check()
{
    btf_header header{};
    if (raw_.size() < sizeof header)
        return;
    std::memcpy(&header, raw_.data(), sizeof header);
    types_ = std::size_t(header.hdr_len) + header.type_off;
    const std::size_t end = types_ + header.type_len;
    strings_ = std::size_t(header.hdr_len) + header.str_off;
    if (header.magic != BTF_MAGIC || end > raw_.size() || strings_ + header.str_len > raw_.size() ||
        header.str_len < 4 || raw_[strings_ + header.str_len - 1] != std::byte{0} ||
        types_ % 4 != 0)
        return;
    strings_size_ = header.str_len;
    types_end_ = end;
}

const KernelBtf::Type* KernelBtf::type(std::uint32_t id) const
{
    if (id == 0 || (id - 1) / kStep >= marks_.size())
        return nullptr;
    std::size_t at = marks_[(id - 1) / kStep];
    for (std::uint32_t skip = (id - 1) % kStep; skip > 0 && at < types_end_; skip--) {
        have(at, sizeof(btf_type));
        at += sizeof(btf_type) + tail_size(reinterpret_cast<const btf_type*>(raw_.data() + at));
    }
    if (at >= types_end_)
        return nullptr;
    have(at, sizeof(btf_type));
    const auto* t = reinterpret_cast<const Type*>(raw_.data() + at);
    have(at, sizeof(btf_type) + tail_size(t));
    return t;
}

std::string_view KernelBtf::name(std::uint32_t offset) const
{
    if (offset >= strings_size_)
        return "";
    if (const auto known = known_.find(offset); known != known_.end())
        return known->second;
    have(strings_ + offset, kMaxName);
    return reinterpret_cast<const char*>(raw_.data()) + strings_ + offset;
}

void KernelBtf::expect(std::vector<Name> names)
{
    expected_.insert(expected_.end(), names.begin(), names.end());
    remembers_ = true;
}

// False: there are some that were never looked for.
bool KernelBtf::recall(std::span<Name> names) const
{
    for (Name& name : names) {
        const auto found = remembered_.find(std::pair(name.kind, name.name));
        if (found == remembered_.end())
            return false;
        name.ids = found->second;
    }
    return true;
}

void KernelBtf::find(std::span<Name> names)
{
    if (!remembers_)
        return find_all(names);
    if (count_ != 0 && recall(names))
        return;
    // Each once.
    for (const Name& name : names)
        expected_.push_back({name.kind, name.name});
    const auto key = [](const Name& n) { return std::tie(n.kind, n.name); };
    std::ranges::sort(expected_, {}, key);
    const auto again = std::ranges::unique(expected_, {}, key);
    expected_.erase(again.begin(), again.end());
    find_all(expected_);
    for (Name& name : expected_)
        remembered_[{name.kind, std::move(name.name)}] = std::move(name.ids);
    expected_.clear();
    recall(names);
}

// Two passes: where in the strings the names are, then which types have them.
void KernelBtf::find_all(std::span<Name> names)
{
    const auto offsets = find_strings(names);
    Prefilter filter;
    for (const auto& [offset, name] : offsets) {
        known_.emplace(offset, name->name);
        if (name->kind != 0)
            filter.add(offset);
    }
    const auto note = [&offsets](const btf_type& t, std::uint32_t id) {
        const auto [first, last] = offsets.equal_range(t.name_off);
        for (auto n = first; n != last; ++n)
            if (kind_class(btf_kind(&t)) == kind_class(n->second->kind))
                n->second->ids.push_back(id);
    };
    marks_.clear();
    marks_.reserve((types_end_ - types_) / 16 / kStep); // a type has 25 bytes, about
    std::uint32_t id = 0;
    for (std::size_t at = types_; at + sizeof(btf_type) <= types_end_;) {
        const auto bytes = piece(at, types_end_);
        const std::byte* next = bytes.data();
        const std::byte* const end = next + bytes.size() - sizeof(btf_type);
        while (next <= end) {
            if (id % kStep == 0)
                marks_.push_back(std::uint32_t(at + std::size_t(next - bytes.data())));
            const std::uint32_t step = (id / kStep + 1) * kStep;
            while (id < step && next <= end) {
                const auto* t = reinterpret_cast<const btf_type*>(next);
                next += sizeof(btf_type) + tail_size(t);
                id++;
                if (filter.may_have(t->name_off)) [[unlikely]]
                    note(*t, id);
            }
        }
        at += std::size_t(next - bytes.data());
    }
    count_ = id;
}

KernelBtf::Offsets KernelBtf::find_strings(std::span<Name> names) const
{
    NameFilter filter;
    std::unordered_multimap<std::string_view, Name*> by_name;
    std::size_t longest = 0;
    for (Name& n : names) {
        filter.add(n.name);
        by_name.emplace(n.name, &n);
        longest = std::max(longest, n.name.size());
    }
    Offsets offsets;
    const std::size_t all_end = strings_ + strings_size_;
    for (std::size_t at = strings_; at < all_end;) {
        const auto bytes = piece(at, all_end);
        const auto* const text = reinterpret_cast<const char*>(bytes.data());
        const auto look_up = [&](std::size_t start) {
            const auto size = ::strnlen(text + start, std::min(longest + 1, bytes.size() - start));
            const auto [first, last] = by_name.equal_range({text + start, size});
            for (auto n = first; n != last; ++n)
                offsets.emplace(std::uint32_t(at + start - strings_), n->second);
        };
        // Those that begin near the end of a piece are of the next.
        const bool last = at + bytes.size() == all_end;
        const std::size_t size = bytes.size() - std::min(bytes.size(), longest + 16);
        const std::size_t done = for_each_nul(text, size, [&](const char* nul) {
            if (filter.may_have(nul + 1)) [[unlikely]]
                look_up(std::size_t(nul + 1 - text));
        });
        for (std::size_t nul = done; last && nul + 1 < bytes.size(); nul++)
            if (text[nul] == '\0')
                look_up(nul + 1);
        at = last ? all_end : at + done;
    }
    return offsets;
}

void KernelBtf::find_in_module(const Fd& module, std::span<Name> functions) const
{
    bpf_btf_info info{};
    __u32 size = sizeof info;
    if (empty() || bpf_obj_get_info_by_fd(module.get(), &info, &size) != 0)
        return;
    std::vector<std::byte> bytes(info.btf_size);
    info = {};
    info.btf = reinterpret_cast<__u64>(bytes.data());
    info.btf_size = __u32(bytes.size());
    size = sizeof info;
    if (bpf_obj_get_info_by_fd(module.get(), &info, &size) != 0)
        return;
    KernelBtf own(bytes);
    // Names of the module's own follow vmlinux's strings, its types vmlinux's types.
    std::uint32_t id = count_;
    for (std::size_t at = own.types_; at + sizeof(btf_type) <= own.types_end_; id++) {
        const auto* t = reinterpret_cast<const btf_type*>(bytes.data() + at);
        at += sizeof(btf_type) + tail_size(t);
        if (btf_kind(t) != BTF_KIND_FUNC)
            continue;
        const std::string_view name = t->name_off < strings_size_
                                          ? this->name(t->name_off)
                                          : own.name(t->name_off - std::uint32_t(strings_size_));
        for (Name& f : functions)
            if (f.ids.empty() && f.name == name)
                f.ids.push_back(id + 1);
    }
}

Fd open_module_btf(std::string_view module)
{
    for (__u32 id = 0; bpf_btf_get_next_id(id, &id) == 0;) {
        Fd fd(bpf_btf_get_fd_by_id(id));
        char name[64] = {};
        bpf_btf_info info{};
        info.name = reinterpret_cast<__u64>(name);
        info.name_len = sizeof name;
        __u32 size = sizeof info;
        if (fd && bpf_obj_get_info_by_fd(fd.get(), &info, &size) == 0 && info.kernel_btf &&
            name == module)
            return fd;
    }
    return {};
}

namespace
{

std::uint32_t word(const std::byte* bytes)
{
    std::uint32_t value = 0;
    std::memcpy(&value, bytes, sizeof value);
    return value;
}

// Builds raw BTF type by type.
class Extract
{
public:
    std::uint32_t string(std::string_view s)
    {
        if (s.empty())
            return 0;
        const auto [known, is_new] = offsets_.try_emplace(s, std::uint32_t(strings_.size()));
        if (is_new) {
            strings_ += s;
            strings_ += '\0';
        }
        return known->second;
    }

    void put(const void* data, std::size_t size)
    {
        const auto* bytes = static_cast<const std::byte*>(data);
        types_.insert(types_.end(), bytes, bytes + size);
    }

    std::vector<std::byte> finish() const
    {
        btf_header header{};
        header.magic = BTF_MAGIC;
        header.version = BTF_VERSION;
        header.hdr_len = sizeof header;
        header.type_len = __u32(types_.size());
        header.str_off = header.type_len;
        header.str_len = __u32(strings_.size());
        std::vector<std::byte> out(sizeof header + types_.size() + strings_.size());
        std::memcpy(out.data(), &header, sizeof header);
        // Not memcpy(): of no types the data may be null, which it must not be told.
        const auto types = std::copy(types_.begin(), types_.end(), out.begin() + sizeof header);
        std::transform(strings_.begin(), strings_.end(), types,
                       [](char c) { return std::byte(static_cast<unsigned char>(c)); });
        return out;
    }

private:
    std::vector<std::byte> types_;
    std::string strings_ = std::string(1, '\0');
    std::unordered_map<std::string_view, std::uint32_t> offsets_;
};

} // namespace

std::vector<std::byte> KernelBtf::extract(std::span<const std::uint32_t> roots) const
{
    std::unordered_map<std::uint32_t, std::uint32_t> numbers; // kernel's id -> ours
    std::vector<std::uint32_t> order;
    const auto number = [&](std::uint32_t id) -> std::uint32_t {
        if (id == 0 || id > count_)
            return 0;
        const auto [known, is_new] = numbers.try_emplace(id, std::uint32_t(order.size() + 1));
        if (is_new)
            order.push_back(id);
        return known->second;
    };
    for (const std::uint32_t id : roots)
        number(id);
    const auto wanted = [this](std::uint32_t name) { return name == 0 || known_.contains(name); };

    Extract out;
    for (std::size_t i = 0; i < order.size(); i++) {
        const Type* t = type(order[i]);
        btf_type copy = *t;
        copy.name_off = out.string(name(t->name_off));
        const auto* tail = reinterpret_cast<const std::byte*>(t + 1);
        const std::size_t size = tail_size(t);
        switch (btf_kind(t)) {
        case BTF_KIND_PTR:
            copy.type = 0;
            break;
        case BTF_KIND_TYPEDEF:
        case BTF_KIND_VOLATILE:
        case BTF_KIND_CONST:
        case BTF_KIND_RESTRICT:
        case BTF_KIND_TYPE_TAG:
            copy.type = number(t->type);
            break;
        case BTF_KIND_FUNC_PROTO: // behind a typedef only: of no use to a relocation
            copy.info = __u32(BTF_KIND_FUNC_PROTO) << 24;
            copy.type = 0;
            break;
        case BTF_KIND_STRUCT:
        case BTF_KIND_UNION:
        case BTF_KIND_ENUM:
        case BTF_KIND_ENUM64: {
            const std::size_t each = size / std::max<std::size_t>(btf_vlen(t), 1);
            __u32 kept = 0;
            for (std::size_t m = 0; m < btf_vlen(t); m++)
                kept += wanted(word(tail + m * each));
            copy.info = (t->info & ~0xffffu) | kept;
            break;
        }
        default:
            break;
        }
        out.put(&copy, sizeof copy);
        switch (btf_kind(t)) {
        case BTF_KIND_ARRAY: {
            struct btf_array array;
            std::memcpy(&array, tail, sizeof array);
            array.type = number(array.type);
            array.index_type = number(array.index_type);
            out.put(&array, sizeof array);
            break;
        }
        case BTF_KIND_STRUCT:
        case BTF_KIND_UNION:
            for (std::size_t m = 0; m < btf_vlen(t); m++) {
                btf_member member;
                std::memcpy(&member, tail + m * sizeof member, sizeof member);
                if (!wanted(member.name_off))
                    continue;
                member.name_off = out.string(name(member.name_off));
                member.type = number(member.type);
                out.put(&member, sizeof member);
            }
            break;
        case BTF_KIND_ENUM:
        case BTF_KIND_ENUM64: {
            const std::size_t each = size / std::max<std::size_t>(btf_vlen(t), 1);
            for (std::size_t v = 0; v < btf_vlen(t); v++) {
                __u32 words[3];
                std::memcpy(words, tail + v * each, each);
                if (!wanted(words[0]))
                    continue;
                words[0] = out.string(name(words[0]));
                out.put(words, each);
            }
            break;
        }
        case BTF_KIND_FUNC_PROTO:
            break;
        default:
            out.put(tail, size);
        }
    }
    return out.finish();
}

int KernelBtf::pointer_argument(std::uint32_t typedef_id, std::string_view wanted) const
{
    const Type* t = type(typedef_id);
    for (int hops = 0; t && hops < 4 && btf_kind(t) != BTF_KIND_FUNC_PROTO; hops++)
        t = type(t->type);
    if (!t || btf_kind(t) != BTF_KIND_FUNC_PROTO)
        return -1;
    const btf_param* params = btf_params(t);
    for (unsigned i = 1; i < btf_vlen(t); i++) { // 0 is the probe's private data
        const Type* pointer = type(params[i].type);
        const Type* target =
            pointer && btf_kind(pointer) == BTF_KIND_PTR ? type(pointer->type) : nullptr;
        if (target && name(target->name_off) == wanted)
            return int(i) - 1;
    }
    return -1;
}

bool KernelBtf::argument_unknown(std::uint32_t function_id) const
{
    const Type* function = type(function_id);
    const Type* proto =
        function && btf_kind(function) == BTF_KIND_FUNC ? type(function->type) : nullptr;
    if (!proto || btf_kind(proto) != BTF_KIND_FUNC_PROTO || btf_vlen(proto) == 0)
        return false;
    const Type* target = type(btf_params(proto)[0].type);
    if (!target || btf_kind(target) != BTF_KIND_PTR)
        return false;
    do
        target = type(target->type);
    while (target && (btf_kind(target) == BTF_KIND_CONST || btf_kind(target) == BTF_KIND_VOLATILE));
    return target && btf_kind(target) == BTF_KIND_FWD;
}

const btf_type* KernelBtf::at(std::uint32_t id) const
{
    const Type* t = type(id);
    if (!t || std::size_t(reinterpret_cast<const std::byte*>(t) - raw_.data()) + sizeof *t +
                      tail_size(t) >
                  types_end_)
        return nullptr;
    return t;
}

// Calls each(type) for all, whole; until it returns true.
template <class Each>
void KernelBtf::for_each_type(Each&& each) const
{
    for (std::size_t at = types_; at < types_end_;) {
        const auto bytes = piece(at, types_end_);
        std::size_t done = 0;
        while (done + sizeof(btf_type) <= bytes.size()) {
            const auto* t = reinterpret_cast<const btf_type*>(bytes.data() + done);
            const std::size_t size = sizeof *t + tail_size(t);
            if (done + size > bytes.size())
                break;
            if (each(*t))
                return;
            done += size;
        }
        if (done == 0)
            return;
        at += done;
    }
}

std::optional<std::int64_t> KernelBtf::enumerator(std::string_view wanted) const
{
    Name name{0, std::string(wanted)};
    const auto offsets = find_strings({&name, 1});
    std::optional<std::int64_t> value;
    if (!offsets.empty())
        for_each_type([&](const btf_type& t) {
            if (btf_kind(&t) == BTF_KIND_ENUM64) {
                for (const struct btf_enum64& e : std::span(btf_enum64(&t), btf_vlen(&t)))
                    if (offsets.contains(e.name_off))
                        value = std::int64_t(std::uint64_t(e.val_hi32) << 32 | e.val_lo32);
            } else if (btf_kind(&t) == BTF_KIND_ENUM)
                // Before ENUM64 BTF had no unsigned ones: all were pahole's int.
                for (const struct btf_enum& e : std::span(btf_enum(&t), btf_vlen(&t)))
                    if (offsets.contains(e.name_off))
                        value = e.val;
            return value.has_value();
        });
    return value;
}

std::vector<std::string> KernelBtf::names(std::uint32_t kind) const
{
    std::vector<std::uint32_t> offsets;
    for_each_type([&](const btf_type& t) {
        if (kind_class(btf_kind(&t)) == kind_class(kind) && t.name_off != 0)
            offsets.push_back(t.name_off);
        return false;
    });
    std::vector<std::string> all;
    for (const std::uint32_t offset : offsets)
        all.emplace_back(name(offset));
    return all;
}

std::optional<std::uint32_t> member_offset(const btf* types, const char* structure,
                                           std::string_view member)
{
    const __s32 id = btf__find_by_name_kind(types, structure, BTF_KIND_STRUCT);
    if (id <= 0)
        return std::nullopt;
    const btf_type* t = btf__type_by_id(types, __u32(id));
    for (__u32 i = 0; i < btf_vlen(t); i++)
        if (member == btf__name_by_offset(types, btf_members(t)[i].name_off))
            return btf_member_bit_offset(t, i) / 8;
    return std::nullopt;
}

bool has_member(std::span<const std::byte> raw, std::string_view name)
{
    const std::unique_ptr<btf, void (*)(btf*)> types(
        btf__new(raw.data(), std::uint32_t(raw.size())), btf__free);
    const std::string of(name.substr(0, name.find('.')));
    return types && member_offset(types.get(), of.c_str(), name.substr(of.size() + 1));
}

Answer KernelBtf::member(std::string_view name)
{
    if (empty())
        return Answer::unknown;
    const auto dot = name.find('.');
    Name names[] = {{BTF_KIND_STRUCT, std::string(name.substr(0, dot))},
                    {0, std::string(name.substr(dot + 1))}};
    find(names);
    return has_member(extract(names[0].ids), name) ? Answer::yes : Answer::no;
}

std::vector<KernelBtf::Name> relocated_names(const btf* object)
{
    std::vector<KernelBtf::Name> names;
    const auto add = [&](std::uint32_t kind, std::uint32_t offset) {
        std::string_view name = btf__name_by_offset(object, offset);
        name = name.substr(0, name.find("___"));
        if (!name.empty())
            names.push_back({kind, std::string(name)});
    };
    for (__u32 id = 1; id < btf__type_cnt(object); id++) {
        const btf_type* t = btf__type_by_id(object, id);
        switch (btf_kind(t)) {
        case BTF_KIND_STRUCT:
        case BTF_KIND_UNION:
            for (std::size_t m = 0; m < btf_vlen(t); m++)
                add(0, btf_members(t)[m].name_off);
            break;
        case BTF_KIND_ENUM:
            for (std::size_t v = 0; v < btf_vlen(t); v++)
                add(0, btf_enum(t)[v].name_off);
            break;
        case BTF_KIND_ENUM64:
            for (std::size_t v = 0; v < btf_vlen(t); v++)
                add(0, btf_enum64(t)[v].name_off);
            break;
        case BTF_KIND_TYPEDEF:
            break;
        default:
            continue;
        }
        add(kind_class(btf_kind(t)), t->name_off);
    }
    std::ranges::sort(names, [](const auto& a, const auto& b) {
        return std::pair(a.kind, std::string_view(a.name)) <
               std::pair(b.kind, std::string_view(b.name));
    });
    const auto same = std::ranges::unique(
        names, [](const auto& a, const auto& b) { return a.kind == b.kind && a.name == b.name; });
    names.erase(same.begin(), same.end());
    return names;
}

} // namespace corebox
