// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "dns.hpp"
#include <algorithm>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <optional>

namespace corebox
{
namespace
{

// A message of RFC 1035, read from its beginning to its end. Whoever answers may have sent
// anything.
class Message
{
public:
    Message(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}

    bool is_over() const { return at_ > size_; }
    std::size_t at() const { return at_; }
    void skip(std::size_t bytes) { at_ += bytes; }
    unsigned number() // of two bytes
    {
        at_ += 2;
        return at_ > size_ ? 0 : unsigned(data_[at_ - 2] << 8 | data_[at_ - 1]);
    }
    // A name with all its labels in place, as that of a question is.
    std::string name()
    {
        std::string text;
        while (at_ < size_ && data_[at_]) {
            const std::size_t length = data_[at_++];
            if (length > kLongestLabel || at_ + length > size_) {
                at_ = size_ + 1;
                return {};
            }
            if (!text.empty())
                text += '.';
            text.append(reinterpret_cast<const char*>(data_) + at_, length);
            at_ += length;
        }
        at_++;
        return text;
    }
    // A name that may lead elsewhere (4.1.4: the two highest bits).
    void skip_name()
    {
        while (at_ < size_ && data_[at_]) {
            if ((data_[at_] & 0xc0) == 0xc0)
                return skip(2);
            skip(data_[at_] + 1u);
        }
        at_++;
    }

private:
    static constexpr std::size_t kLongestLabel = 63;

    const std::uint8_t* data_;
    std::size_t size_, at_ = 0;
};

constexpr unsigned kIsAnswer = 0x8000, kClassIn = 1, kTypeA = 1, kTypeAaaa = 28;

} // namespace

DnsNames::Key DnsNames::key_of(bool v6, const std::uint8_t* address)
{
    Key key{};
    key[0] = v6;
    std::copy_n(address, v6 ? 16 : 4, key.begin() + 1);
    return key;
}

void DnsNames::take(const dns_answer& answer)
{
    Message m(answer.data, std::min<std::size_t>(answer.size, DNS_MOST));
    m.skip(2);
    const unsigned flags = m.number(), questions = m.number(), answers = m.number();
    m.skip(4);
    if (!(flags & kIsAnswer) || questions != 1)
        return;
    const std::string name = m.name();
    m.skip(4);
    for (unsigned i = 0; i < answers && !name.empty(); i++) {
        m.skip_name();
        const unsigned type = m.number(), kind = m.number();
        m.skip(4);
        const unsigned size = m.number();
        const std::uint8_t* const address = answer.data + m.at();
        m.skip(size);
        if (m.is_over())
            return;
        const bool v6 = type == kTypeAaaa;
        if (kind != kClassIn || !((type == kTypeA && size == 4) || (v6 && size == 16)))
            continue;
        const Key key = key_of(v6, address);
        const auto [known, is_new] =
            names_.insert_or_assign(key, Name{name, std::uint64_t(answer.time_ns)});
        if (!is_new)
            continue;
        order_.push_back(key);
        if (order_.size() > kMost) {
            names_.erase(order_.front());
            order_.pop_front();
        }
    }
}

void DnsNames::take_all(const bpf_map* answers)
{
    dns_answer answer;
    while (bpf_map_lookup_and_delete_elem(bpf_map__fd(answers), nullptr, &answer) == 0)
        take(answer);
}

const DnsNames::Name* DnsNames::find(const conn& c) const
{
    const auto found = names_.find(key_of(c.family == CONN_IPV6, c.raddr));
    return found == names_.end() ? nullptr : &found->second;
}

} // namespace corebox
