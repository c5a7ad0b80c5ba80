#pragma once

// RESP2, the protocol of Redis clients: an incremental parser of requests and the writers of replies.
//
// The parser is handed the bytes that begin with the request it is at, as often as more of them have arrived; it goes
// on where it stopped, so a request that comes in small pieces costs no more than one that comes at once. It copies
// nothing: arguments are views into the caller's bytes (but for quoted inline requests, which have to be unescaped).
//
// Invariants: whatever the bytes, the parser reads none beyond those given, keeps no memory in proportion to a number
// that it was only told, and after `broken` the stream has lost its place: the caller answers error() and closes.

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace kv::resp {

/// What one request may be at most; what is larger breaks the connection.
struct limits {
  std::size_t arguments = std::size_t{1} << 20;       ///< Arguments of one request.
  std::size_t argument_bytes = std::size_t{8} << 20;  ///< Bytes of one argument.
  std::size_t request_bytes = std::size_t{12} << 20;  ///< Bytes of one request, as it is on the wire.
  std::size_t inline_bytes = std::size_t{64} << 10;   ///< Bytes of a request that is a line of words.
};

/// What `parser::next` found.
enum class outcome : std::uint8_t {
  request,     ///< A whole request: arguments() (none for an empty line) and consumed() hold.
  incomplete,  ///< More bytes are needed.
  broken,      ///< This is not the protocol, or beyond a limit; error() is the sentence for the client.
};

/// Reads one request after the other. Copyable; about 200 bytes while idle.
class parser {
 public:
  parser() = default;
  explicit parser(const limits& most) : most_(most) {}

  /// Goes on with the request that begins at bytes[0]. After `request`, drop consumed() bytes and call it again. After
  /// `incomplete`, call it with the same bytes (at any address) and more behind them. O(new bytes).
  outcome next(std::string_view bytes) {
    if (fresh_) begin(bytes);
    if (fresh_) return outcome::incomplete;
    const outcome found = inline_ ? read_line_of_words(bytes) : read_arguments(bytes);
    if (found == outcome::incomplete && bytes.size() > most_.request_bytes) return fail("request too big");
    if (found == outcome::request) fresh_ = true;
    return found;
  }

  /// Views into the bytes given to the call of `next` that found the request; valid as long as those, and until the
  /// next call.
  [[nodiscard]] std::span<const std::string_view> arguments() const noexcept { return arguments_; }
  /// How many bytes the request took.
  [[nodiscard]] std::size_t consumed() const noexcept { return at_; }
  /// After `broken`: what is wrong, in the words of Redis where it has them.
  [[nodiscard]] const std::string& error() const noexcept { return error_; }

 private:
  struct place {
    std::size_t offset = 0;
    std::size_t size = 0;
  };
  enum class line : std::uint8_t { complete, incomplete, not_a_number, too_long };

  static constexpr std::size_t longest_number = 20;
  static constexpr std::size_t many = 1024;  ///< Memory for more arguments than this is not kept.

  void begin(std::string_view bytes) {
    if (bytes.empty()) return;
    fresh_ = false;
    inline_ = bytes[0] != '*';
    at_ = inline_ ? 0 : 1;
    counted_ = false;
    inside_ = false;
    wanted_ = 0;
    places_.clear();
    arguments_.clear();
    if (places_.capacity() > many) {
      places_ = {};
      arguments_ = {};
    }
  }

  outcome fail(std::string what) {
    error_ = "Protocol error: " + std::move(what);
    return outcome::broken;
  }

  /// A positive number of few digits and CR LF at `from`: the common case. Answers where they end; null if it is
  /// anything else, a number that is not all there among it.
  static const char* read_short_number(const char* from, const char* end, std::size_t& number) noexcept {
    constexpr std::ptrdiff_t digits = 9;
    const char* at = from;
    std::size_t n = 0;
    for (; at != end && at - from < digits; ++at) {
      const auto digit = static_cast<unsigned char>(*at - '0');
      if (digit > 9) break;
      n = 10 * n + digit;
    }
    if (at == from || end - at < 2 || at[0] != '\r' || at[1] != '\n') return nullptr;
    number = n;
    return at + 2;
  }

  /// A whole argument that is in order: the common case. False: read_argument finds out what it is.
  bool read_whole_argument(std::string_view bytes) {
    const char* const end = bytes.data() + bytes.size();
    const char* at = bytes.data() + at_;
    std::size_t size = 0;
    if (inside_ || at == end || *at != '$') return false;
    at = read_short_number(at + 1, end, size);
    if (at == nullptr || size > most_.argument_bytes || static_cast<std::size_t>(end - at) < size + 2) return false;
    const auto offset = static_cast<std::size_t>(at - bytes.data());
    if (at[size] != '\r' || at[size + 1] != '\n' || offset + size + 2 > most_.request_bytes) return false;
    places_.push_back({offset, size});
    at_ = offset + size + 2;
    return true;
  }

  /// A number up to CR LF, from at_ on; moves at_ behind it.
  line read_number(std::string_view bytes, std::int64_t& number) {
    std::size_t few = 0;
    if (const char* behind = read_short_number(bytes.data() + at_, bytes.data() + bytes.size(), few)) {
      number = static_cast<std::int64_t>(few);
      at_ = static_cast<std::size_t>(behind - bytes.data());
      return line::complete;
    }
    const std::size_t end = std::min(bytes.size(), at_ + longest_number + 2);
    std::size_t i = at_;
    while (i < end && bytes[i] != '\r') ++i;
    if (i == end) return end == at_ + longest_number + 2 ? line::too_long : line::incomplete;
    if (i + 1 == bytes.size()) return line::incomplete;
    const auto [stop, wrong] = std::from_chars(bytes.data() + at_, bytes.data() + i, number);
    if (wrong != std::errc{} || stop != bytes.data() + i || bytes[i + 1] != '\n') return line::not_a_number;
    at_ = i + 2;
    return line::complete;
  }

  outcome read_arguments(std::string_view bytes) {
    if (!counted_) {
      std::int64_t count = 0;
      const line got = read_number(bytes, count);
      if (got == line::incomplete) return outcome::incomplete;
      if (got == line::too_long) return fail("too big mbulk count string");
      if (got == line::not_a_number || count > static_cast<std::int64_t>(most_.arguments)) {
        return fail("invalid multibulk length");
      }
      wanted_ = count > 0 ? static_cast<std::size_t>(count) : 0;
      counted_ = true;
    }
    while (places_.size() < wanted_) {
      if (read_whole_argument(bytes)) continue;
      const outcome got = read_argument(bytes);
      if (got != outcome::request) return got;
    }
    arguments_.clear();
    for (const place& p : places_) arguments_.push_back(bytes.substr(p.offset, p.size));
    return outcome::request;
  }

  outcome read_argument(std::string_view bytes) {
    if (!inside_) {
      if (at_ == bytes.size()) return outcome::incomplete;
      if (bytes[at_] != '$') return fail(std::string("expected '$', got '") + printable(bytes[at_]) + "'");
      ++at_;
      inside_ = true;
      sized_ = false;
    }
    if (!sized_) {
      std::int64_t size = 0;
      const line got = read_number(bytes, size);
      if (got == line::incomplete) return outcome::incomplete;
      if (got == line::too_long) return fail("too big bulk count string");
      if (got == line::not_a_number || size < 0 || size > static_cast<std::int64_t>(most_.argument_bytes)) {
        return fail("invalid bulk length");
      }
      if (at_ + static_cast<std::size_t>(size) + 2 > most_.request_bytes) return fail("request too big");
      size_ = static_cast<std::size_t>(size);
      sized_ = true;
    }
    if (bytes.size() - at_ < size_ + 2) return outcome::incomplete;
    if (bytes[at_ + size_] != '\r' || bytes[at_ + size_ + 1] != '\n') return fail("no CRLF behind an argument");
    places_.push_back({at_, size_});
    at_ += size_ + 2;
    inside_ = false;
    return outcome::request;
  }

  static char printable(char c) { return c >= ' ' && c <= '~' ? c : '?'; }

  outcome read_line_of_words(std::string_view bytes) {
    const std::size_t end = bytes.find('\n', at_);
    if (end == std::string_view::npos ? bytes.size() > most_.inline_bytes : end > most_.inline_bytes) {
      return fail("too big inline request");
    }
    if (end == std::string_view::npos) {
      at_ = bytes.size();
      return outcome::incomplete;
    }
    const bool with_cr = end > 0 && bytes[end - 1] == '\r';
    at_ = end + 1;
    if (!split_words(bytes.substr(0, end - (with_cr ? 1 : 0)))) return fail("unbalanced quotes in request");
    return outcome::request;
  }

  /// Words apart by blanks; "..." with escapes and '...' are one word each, and a quote must be followed by a blank.
  bool split_words(std::string_view text) {
    unescaped_.clear();
    places_.clear();
    for (std::size_t i = 0;;) {
      while (i < text.size() && blank(text[i])) ++i;
      if (i == text.size()) break;
      const std::size_t from = unescaped_.size();
      if (!read_word(text, i)) return false;
      places_.push_back({from, unescaped_.size() - from});
    }
    arguments_.clear();
    for (const place& p : places_) arguments_.push_back(std::string_view{unescaped_}.substr(p.offset, p.size));
    return true;
  }

  bool read_word(std::string_view text, std::size_t& i) {
    while (i < text.size() && !blank(text[i])) {
      const char quote = text[i];
      if (quote != '"' && quote != '\'') {
        unescaped_.push_back(text[i++]);
        continue;
      }
      ++i;
      while (i < text.size() && text[i] != quote) unescape(text, i, quote);
      if (i == text.size()) return false;
      ++i;
      return i == text.size() || blank(text[i]);
    }
    return true;
  }

  void unescape(std::string_view text, std::size_t& i, char quote) {
    const bool more = i + 1 < text.size();
    if (text[i] != '\\' || !more || (quote == '\'' && text[i + 1] != '\'')) {
      unescaped_.push_back(text[i++]);
      return;
    }
    unsigned char byte = 0;
    if (quote == '"' && text[i + 1] == 'x' && i + 3 < text.size()) {
      const char* digits = text.data() + i + 2;
      if (std::from_chars(digits, digits + 2, byte, 16).ptr == digits + 2) {
        unescaped_.push_back(static_cast<char>(byte));
        i += 4;
        return;
      }
    }
    unescaped_.push_back(quote == '"' ? meaning(text[i + 1]) : text[i + 1]);
    i += 2;
  }

  static char meaning(char escaped) {
    switch (escaped) {
      case 'n':
        return '\n';
      case 'r':
        return '\r';
      case 't':
        return '\t';
      case 'b':
        return '\b';
      case 'a':
        return '\a';
      default:
        return escaped;
    }
  }

  static bool blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f' || c == '\0';
  }

  limits most_{};
  bool fresh_ = true;     ///< Between two requests.
  bool inline_ = false;   ///< A line of words.
  bool counted_ = false;  ///< wanted_ is known.
  bool inside_ = false;   ///< Behind the '$' of an argument.
  bool sized_ = false;    ///< size_ is known.
  std::size_t at_ = 0;    ///< Everything before it is done with.
  std::size_t wanted_ = 0;
  std::size_t size_ = 0;
  std::vector<place> places_{};
  std::vector<std::string_view> arguments_{};
  std::string unescaped_{};
  std::string error_{};
};

// ---------------------------------------------------------------------------------------------------- replies
//
// Each appends one reply (or the head of one) to `out`.

inline void append_number(std::string& out, std::int64_t number) {
  char digits[24];
  const auto* const end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  out.append(digits, static_cast<std::size_t>(end - digits));
}

inline void write_simple(std::string& out, std::string_view text) { out.append(1, '+').append(text).append("\r\n"); }

/// `text` begins with the code ("ERR ..."). Line ends in it would end the reply early; they become blanks.
inline void write_error(std::string& out, std::string_view text) {
  const std::size_t from = out.size() + 1;
  out.append(1, '-').append(text);
  std::replace_if(
      out.begin() + static_cast<std::ptrdiff_t>(from), out.end(), [](char c) { return c == '\r' || c == '\n'; }, ' ');
  out.append("\r\n");
}

inline void write_integer(std::string& out, std::int64_t number) {
  out.push_back(':');
  append_number(out, number);
  out.append("\r\n");
}

inline void write_bulk(std::string& out, std::string_view bytes) {
  out.push_back('$');
  append_number(out, static_cast<std::int64_t>(bytes.size()));
  out.append("\r\n").append(bytes).append("\r\n");
}

inline void write_nil(std::string& out) { out.append("$-1\r\n"); }

/// `count` replies follow.
inline void write_array(std::string& out, std::size_t count) {
  out.push_back('*');
  append_number(out, static_cast<std::int64_t>(count));
  out.append("\r\n");
}

}  // namespace kv::resp
