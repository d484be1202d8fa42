// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "symbols/flame.hpp"

#include "output/escape.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <string_view>
#include <unordered_map>

namespace corebox
{
namespace
{

// The drawing without JavaScript, in pixels; the script below fits it to the window.
constexpr double kWidth = 1200;
constexpr double kMargin = 10;
constexpr int kTop = 96;    // title, subtitle, tools
constexpr int kBottom = 26; // note
constexpr int kRow = 17;
constexpr double kCharacter = 6.7; // of the 11 px monospace font
constexpr unsigned kShades = 6;

// Colour by kind; the name picks the shade, so that a function looks the same everywhere.
constexpr std::string_view kStyle = R"(
svg { background: #fff; color: #222; font-family: ui-monospace, Menlo, Consolas, monospace; }
text { font-size: 11px; fill: currentColor; }
.title { font: 600 17px system-ui, sans-serif; }
.sub, .note { font: 12px system-ui, sans-serif; opacity: .75; }
.bar { fill: #fff; }
.f { cursor: pointer; }
.f rect { rx: 2px; stroke: #fff; stroke-width: .5; }
.f text { fill: #1a1a1a; pointer-events: none; }
.f:hover rect, .f.sel rect { stroke: #000; stroke-width: 1.5; }
.f.above { opacity: .55; }
.f.hit rect { fill: #e838e8; }
.p0,.p1,.p2,.p3,.p4,.p5 { fill: #c8ccd2; }
.m0,.m1,.m2,.m3,.m4,.m5 { fill: #e3b7b7; }
.u0 { fill: #ffd257; } .u1 { fill: #ffc24d; } .u2 { fill: #ffb347; }
.u3 { fill: #ffdb70; } .u4 { fill: #f9c76b; } .u5 { fill: #ffbd66; }
.j0 { fill: #9bd67c; } .j1 { fill: #8ccf8a; } .j2 { fill: #a8d98a; }
.j3 { fill: #8fd3a0; } .j4 { fill: #b4dc85; } .j5 { fill: #9fdba8; }
.k0 { fill: #8fbbe8; } .k1 { fill: #9cc3ea; } .k2 { fill: #84b4e6; }
.k3 { fill: #a3c4f0; } .k4 { fill: #8cc2e0; } .k5 { fill: #97b6ea; }
.tools { font: 12px system-ui, sans-serif; color: #222; display: flex; gap: 6px; }
.tools input { font: inherit; width: 15em; } .tools button { font: inherit; }
@media (prefers-color-scheme: dark) {
  svg { background: #1c1d20; color: #e6e6e6; } .bar { fill: #1c1d20; } .tools { color: #e6e6e6; }
  .f rect { stroke: #1c1d20; } .f:hover rect, .f.sel rect { stroke: #fff; }
}
)";

// Everything of a traced process comes to the script as text content, and leaves it as such.
constexpr std::string_view kScript = R"JS(
(function () {
  "use strict";
  const svg = document.currentScript.ownerSVGElement, ns = svg.namespaceURI;
  const byId = id => svg.getElementById(id);
  const margin = 10, row = 17, top = 96, bottom = 26, charWidth = 6.7;
  const status = byId("status"), bar = byId("bar"), field = byId("search");
  let width = 1200, flipped = false, selected = null, stack = [], deepest = 0;

  const frames = Array.from(svg.querySelectorAll("g.f"), g => {
    const title = g.firstElementChild, lines = title.textContent.split("\n");
    const frame = { g, name: lines[0], info: lines.slice(1).join(" "),
      x: +g.dataset.x, w: +g.dataset.w, d: +g.dataset.d,
      rect: g.querySelector("rect"), text: g.querySelector("text"),
      shown: true, hit: false, px: 0 };
    stack.length = frame.d;
    frame.parent = frame.d ? stack[frame.d - 1] : null;
    stack[frame.d] = frame;
    deepest = Math.max(deepest, frame.d);
    g.frame = frame;
    return frame;
  });
  if (!frames.length) return;
  svg.appendChild(bar);  // above the frames that scroll beneath it
  const root = frames[0];
  let focus = root;

  function label(frame) {
    const room = Math.floor((frame.px - 6) / charWidth);
    let shown = room < 3 ? "" : frame.name;
    if (shown && shown.length > room) shown = shown.slice(0, room - 2) + "..";
    if (!frame.text) {
      if (!shown) return;
      frame.text = frame.g.appendChild(document.createElementNS(ns, "text"));
    }
    frame.text.textContent = shown;
  }

  function layout() {
    const scale = (width - 2 * margin) / focus.w, low = focus.x, high = focus.x + focus.w;
    for (const frame of frames) {
      const from = Math.max(frame.x, low), to = Math.min(frame.x + frame.w, high);
      frame.px = (to - from) * scale;
      frame.shown = frame.px >= 0.3;
      frame.g.style.display = frame.shown ? "" : "none";
      if (!frame.shown) continue;
      const x = margin + (from - low) * scale;
      const y = top + row * (flipped ? frame.d : deepest - frame.d);
      frame.rect.setAttribute("x", x.toFixed(2));
      frame.rect.setAttribute("y", y);
      frame.rect.setAttribute("width", frame.px.toFixed(2));
      label(frame);
      if (frame.text) {
        frame.text.setAttribute("x", (x + 3).toFixed(2));
        frame.text.setAttribute("y", y + 12);
      }
      frame.g.classList.toggle("above", frame.d < focus.d);
    }
    byId("reset").disabled = focus === root;
  }

  function fit() {
    const box = svg.parentNode === document ? window.innerWidth : svg.clientWidth;
    width = Math.max(400, box || 1200);
    const height = top + row * (deepest + 1) + bottom;
    svg.setAttribute("width", width);
    svg.setAttribute("height", height);
    svg.setAttribute("viewBox", "0 0 " + width + " " + height);
    byId("barback").setAttribute("width", width);
    byId("tools").setAttribute("width", width - 2 * margin);
    byId("legend").setAttribute("transform", "translate(" + (width - 1200) + ",0)");
    layout();
  }

  function tell(frame) { status.textContent = frame ? frame.name + "  (" + frame.info + ")" : ""; }

  function select(frame, bring) {
    if (selected) selected.g.classList.remove("sel");
    selected = frame;
    if (!frame) return;
    frame.g.classList.add("sel");
    tell(frame);
    if (bring) frame.rect.scrollIntoView({ block: "nearest" });
  }

  function zoom(frame) { focus = frame; layout(); select(frame); }

  function search() {
    const query = field.value;
    let matches = () => false;
    if (query) {
      try {
        const pattern = new RegExp(query, "i");
        matches = name => pattern.test(name);
      } catch (unfinished) {
        const plain = query.toLowerCase();
        matches = name => name.toLowerCase().includes(plain);
      }
    }
    let sum = 0, until = -1;
    for (const frame of frames) {
      frame.hit = frame !== root && matches(frame.name);
      frame.g.classList.toggle("hit", frame.hit);
      // A match inside a match is counted already: frames come parents first, left to right.
      if (frame.hit && frame.x >= until) { sum += frame.w; until = frame.x + frame.w; }
    }
    byId("matched").textContent = query ? (100 * sum / root.w).toFixed(2) + "% matched" : "";
  }

  function move(key) {
    if (!selected || !selected.shown) return select(focus, true);
    const outward = flipped ? "ArrowUp" : "ArrowDown", inward = flipped ? "ArrowDown" : "ArrowUp";
    let to = null;
    if (key === outward) to = selected.parent;
    for (const frame of key === outward ? [] : frames) {
      if (!frame.shown) continue;
      if (key === inward) {
        if (frame.parent === selected && (!to || frame.w > to.w)) to = frame;
      } else if (frame.d === selected.d) {
        if (key === "ArrowLeft" && frame.x < selected.x && (!to || frame.x > to.x)) to = frame;
        if (key === "ArrowRight" && frame.x > selected.x && (!to || frame.x < to.x)) to = frame;
      }
    }
    if (to) select(to, true);
  }

  const frameOf = event => {
    const g = event.target.closest ? event.target.closest("g.f") : null;
    return g ? g.frame : null;
  };
  svg.addEventListener("click", event => { const frame = frameOf(event); if (frame) zoom(frame); });
  svg.addEventListener("mouseover", event => tell(frameOf(event) || selected));
  svg.addEventListener("mouseout", () => tell(selected));
  field.addEventListener("input", search);
  byId("reset").addEventListener("click", () => zoom(root));
  byId("flip").addEventListener("click", () => { flipped = !flipped; layout(); });
  document.addEventListener("keydown", event => {
    if (event.target === field) {
      if (event.key === "Escape") { field.value = ""; search(); field.blur(); }
      return;
    }
    if (event.key === "/" || (event.key === "f" && (event.ctrlKey || event.metaKey))) {
      field.focus();
      field.select();
    } else if (event.ctrlKey || event.metaKey || event.altKey) {
      return;
    } else if (event.key.startsWith("Arrow")) {
      move(event.key);
    } else if (event.key === "Enter" && selected && event.target.localName !== "button") {
      zoom(selected);
    } else if (event.key === "Escape") {
      if (focus !== root) zoom(root); else { field.value = ""; search(); }
    } else {
      return;
    }
    event.preventDefault();
  });
  // The tools stay in sight of deep graphs.
  window.addEventListener("scroll", () => {
    if (svg.parentNode !== document) return;
    bar.setAttribute("transform", "translate(0," + window.scrollY + ")");
  });
  window.addEventListener("resize", fit);
  byId("tools").style.display = "";
  fit();
  window.scrollTo(0, document.documentElement.scrollHeight || 0);
})();
)JS";

struct Node {
    std::uint32_t name = 0;
    FrameKind kind = FrameKind::user;
    std::uint64_t weight = 0;
    std::vector<std::uint32_t> children;
};

class Tree
{
public:
    explicit Tree(std::span<const FlameStack> stacks)
    {
        nodes_.push_back({intern("all"), FrameKind::process, 0, {}});
        for (const FlameStack& stack : stacks) {
            if (stack.weight == 0)
                continue;
            std::uint32_t at = 0;
            nodes_[0].weight += stack.weight;
            for (const StackFrame& frame : stack.frames) {
                at = child(at, frame);
                nodes_[at].weight += stack.weight;
            }
        }
        for (Node& node : nodes_) {
            std::ranges::sort(node.children, [&](std::uint32_t a, std::uint32_t b) {
                int order = name(a).compare(name(b));
                return order != 0 ? order < 0 : nodes_[a].kind < nodes_[b].kind;
            });
        }
    }

    const Node& node(std::uint32_t index) const { return nodes_[index]; }
    std::string_view name(std::uint32_t index) const { return names_[nodes_[index].name]; }
    std::uint64_t total() const { return nodes_[0].weight; }

private:
    std::uint32_t intern(std::string_view name)
    {
        auto [known, fresh] = ids_.try_emplace(name, static_cast<std::uint32_t>(names_.size()));
        if (fresh)
            names_.push_back(name);
        return known->second;
    }

    std::uint32_t child(std::uint32_t parent, const StackFrame& frame)
    {
        // A name has one of five kinds: three bits beside it.
        std::uint32_t label = intern(frame.name) << 3 | static_cast<std::uint32_t>(frame.kind);
        auto fresh = static_cast<std::uint32_t>(nodes_.size());
        auto [known, added] = edges_.try_emplace(std::uint64_t{parent} << 32 | label, fresh);
        if (added) {
            nodes_.push_back({label >> 3, frame.kind, 0, {}});
            nodes_[parent].children.push_back(fresh);
        }
        return known->second;
    }

    std::vector<Node> nodes_;
    std::vector<std::string_view> names_; // of the caller's frames
    std::unordered_map<std::string_view, std::uint32_t> ids_;
    std::unordered_map<std::uint64_t, std::uint32_t> edges_;
};

// The name as it is shown: escaped as text is, and without the two code points that are valid UTF-8
// but not allowed in XML (U+FFFE, U+FFFF).
std::string shown(std::string_view name)
{
    std::string text;
    escape_text(text, name, false);
    for (std::size_t at = 0; (at = text.find("\xef\xbf", at)) != std::string::npos; ++at) {
        auto last = static_cast<unsigned char>(text[at + 2]);
        if (last >= 0xbe)
            text.replace(at, 3, last == 0xbe ? "\\xef\\xbf\\xbe" : "\\xef\\xbf\\xbf");
    }
    return text;
}

void append_markup(std::string& out, std::string_view text)
{
    for (char c : text) {
        switch (c) {
        case '&':
            out += "&amp;";
            break;
        case '<':
            out += "&lt;";
            break;
        case '>':
            out += "&gt;";
            break;
        case '"':
            out += "&quot;";
            break;
        case '\'':
            out += "&#39;";
            break;
        default:
            out += c;
        }
    }
}

template <typename... Values>
void append_format(std::string& out, const char* format, Values... values)
{
    char text[256];
    int size = std::snprintf(text, sizeof text, format, values...);
    out.append(text, std::min(static_cast<std::size_t>(size), sizeof text - 1));
}

// 1234567 as "1,234,567".
std::string grouped(std::uint64_t number)
{
    std::string digits = std::to_string(number);
    for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3) {
        digits.insert(static_cast<std::size_t>(at), 1, ',');
    }
    return digits;
}

char class_of(FrameKind kind)
{
    switch (kind) {
    case FrameKind::process:
        return 'p';
    case FrameKind::user:
        return 'u';
    case FrameKind::jit:
        return 'j';
    case FrameKind::kernel:
        return 'k';
    case FrameKind::marker:
        return 'm';
    }
    return 'm';
}

unsigned shade_of(std::string_view name)
{
    std::uint32_t hash = 2166136261; // FNV-1a
    for (char c : name)
        hash = (hash ^ static_cast<unsigned char>(c)) * 16777619;
    return (hash ^ hash >> 16) % kShades;
}

// The first characters of a text that have room, cut between characters.
std::string fitting(std::string_view text, double width)
{
    auto room = static_cast<int>((width - 6) / kCharacter);
    if (room < 3)
        return {};
    int characters = 0;
    std::size_t cut = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if ((static_cast<unsigned char>(text[i]) & 0xc0) == 0x80)
            continue;
        if (characters == room - 2)
            cut = i;
        ++characters;
    }
    if (characters <= room)
        return std::string(text);
    return std::string(text.substr(0, cut)) + "..";
}

class Writer
{
public:
    Writer(std::string& out, const FlameOptions& options, const Tree& tree)
        : out_(out), options_(options), tree_(tree)
    {
    }

    void write()
    {
        place(0, 0, 0);
        int height = kTop + kRow * (deepest_ + 1) + kBottom;
        head(height);
        for (const Placed& placed : placed_)
            frame(placed);
        if (omitted_ > 0) {
            append_format(out_, "<text class=\"note\" x=\"10\" y=\"%d\">", height - 8);
            out_ += grouped(omitted_) + " narrow frames are not drawn</text>\n";
        }
        out_ += "<script><![CDATA[";
        out_ += kScript;
        out_ += "]]></script>\n</svg>\n";
    }

private:
    struct Placed {
        std::uint32_t node;
        int depth;
        std::uint64_t x;
    };

    // Preorder, without recursion: stacks are as deep as the kernel's limit allows.
    void place(std::uint32_t root, int depth, std::uint64_t x)
    {
        if (tree_.total() == 0)
            return;
        double least = options_.min_width * static_cast<double>(tree_.total());
        std::vector<Placed> open{{root, depth, x}};
        while (!open.empty()) {
            Placed placed = open.back();
            open.pop_back();
            const Node& node = tree_.node(placed.node);
            placed_.push_back(placed);
            deepest_ = std::max(deepest_, placed.depth);
            std::uint64_t end = placed.x;
            for (std::uint32_t child : node.children)
                end += tree_.node(child).weight;
            for (auto child = node.children.rbegin(); child != node.children.rend(); ++child) {
                std::uint64_t weight = tree_.node(*child).weight;
                end -= weight;
                if (static_cast<double>(weight) < least) {
                    ++omitted_;
                } else {
                    open.push_back({*child, placed.depth + 1, end});
                }
            }
        }
    }

    void head(int height)
    {
        append_format(out_,
                      "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n"
                      "<svg xmlns=\"http://www.w3.org/2000/svg\" version=\"1.1\" "
                      "width=\"%.0f\" height=\"%d\" viewBox=\"0 0 %.0f %d\">\n",
                      kWidth, height, kWidth, height);
        out_ += "<title>";
        append_markup(out_, shown(options_.title));
        out_ += "</title>\n<style>";
        out_ += kStyle;
        out_ += "</style>\n<g id=\"bar\"><rect id=\"barback\" class=\"bar\" x=\"0\" y=\"0\" ";
        append_format(out_, "width=\"%.0f\" height=\"%d\"/>\n", kWidth, kTop - 4);
        out_ += "<text class=\"title\" x=\"10\" y=\"24\">";
        append_markup(out_, shown(options_.title));
        out_ += "</text>\n<text class=\"sub\" x=\"10\" y=\"42\">";
        append_markup(out_, shown(options_.subtitle));
        if (!options_.subtitle.empty())
            out_ += " · ";
        out_ += grouped(tree_.total()) + ' ';
        append_markup(out_, shown(options_.unit));
        out_ += "</text>\n";
        // HTML inside SVG: drawn by browsers, and by those only is there a script to serve it.
        out_ +=
            "<foreignObject id=\"tools\" x=\"10\" y=\"48\" width=\"1180\" height=\"26\" "
            "style=\"display:none\"><div xmlns=\"http://www.w3.org/1999/xhtml\" class=\"tools\">"
            "<input id=\"search\" type=\"search\" placeholder=\"search (regular expression)\" "
            "aria-label=\"Search\" title=\"/ or Ctrl-F\"/>"
            "<button id=\"reset\" title=\"Escape\">whole graph</button>"
            "<button id=\"flip\">flip</button>"
            "<span id=\"matched\" role=\"status\"></span></div></foreignObject>\n";
        out_ += "<text id=\"status\" role=\"status\" x=\"10\" y=\"88\">";
        if (tree_.total() == 0)
            out_ += "No stacks.";
        out_ += "</text>\n";
        legend();
        out_ += "</g>\n";
    }

    void legend()
    {
        struct Key {
            FrameKind kind;
            const char* name;
        };
        constexpr Key kKeys[] = {
            {FrameKind::user, "user"}, {FrameKind::jit, "JIT"}, {FrameKind::kernel, "kernel"}};
        double x = kWidth - 220;
        out_ += "<g id=\"legend\">\n";
        for (const Key& key : kKeys) {
            append_format(out_,
                          "<rect class=\"%c0\" x=\"%.0f\" y=\"14\" width=\"12\" height=\"12\"/>"
                          "<text x=\"%.0f\" y=\"24\">%s</text>\n",
                          class_of(key.kind), x, x + 17, key.name);
            x += 70;
        }
        out_ += "</g>\n";
    }

    void frame(const Placed& placed)
    {
        const Node& node = tree_.node(placed.node);
        std::string name = shown(tree_.name(placed.node));
        if (name.empty())
            name = "[unknown]";
        auto total = static_cast<double>(tree_.total());
        double scale = (kWidth - 2 * kMargin) / total;
        double x = kMargin + static_cast<double>(placed.x) * scale;
        double width = static_cast<double>(node.weight) * scale;
        int y = kTop + kRow * (deepest_ - placed.depth);

        append_format(out_, "<g class=\"f\" data-x=\"%lu\" data-w=\"%lu\" data-d=\"%d\"><title>",
                      static_cast<unsigned long>(placed.x), static_cast<unsigned long>(node.weight),
                      placed.depth);
        append_markup(out_, name);
        out_ += '\n' + grouped(node.weight) + ' ';
        append_markup(out_, shown(options_.unit));
        append_format(out_, ", %.2f%%</title>", 100 * static_cast<double>(node.weight) / total);
        append_format(out_,
                      "<rect class=\"%c%u\" x=\"%.2f\" y=\"%d\" width=\"%.2f\" height=\"16\"/>",
                      class_of(node.kind), shade_of(name), x, y, width);
        if (std::string text = fitting(name, width); !text.empty()) {
            append_format(out_, "<text x=\"%.2f\" y=\"%d\">", x + 3, y + 12);
            append_markup(out_, text);
            out_ += "</text>";
        }
        out_ += "</g>\n";
    }

    std::string& out_;
    const FlameOptions& options_;
    const Tree& tree_;
    std::vector<Placed> placed_;
    std::uint64_t omitted_ = 0; // subtrees
    int deepest_ = 0;
};

} // namespace

void write_flame_graph(std::string& out, const FlameOptions& options,
                       std::span<const FlameStack> stacks)
{
    Tree tree(stacks);
    Writer(out, options, tree).write();
}

} // namespace corebox
