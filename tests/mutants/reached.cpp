// What the scripts beside this file link into the test programs that they build. From the environment it takes
//
//   RAFT_REACHED=F    the program adds a line to the file F for each test case: its seconds, its name, the numbers of
//   the
//                     mutants that it came by; with a tab between two. What is reached before the first case, when
//                     statics are made, is every case's: its line has the name `*`.
//   RAFT_SECONDS=N    a mutant may loop for ever, or take memory for ever: the program ends after N seconds of
//   processor
//                     time, or at 4 GiB.

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>

namespace {

void limit_to(rlim_t seconds) {
  const rlimit time{seconds, seconds + 1};
  const rlimit memory{rlim_t{4} << 30, rlim_t{4} << 30};
  setrlimit(RLIMIT_CPU, &time);
  setrlimit(RLIMIT_AS, &memory);
}

class listener : public doctest::IReporter {
 public:
  explicit listener(const doctest::ContextOptions&) {
    if (const char* seconds = std::getenv("RAFT_SECONDS")) limit_to(std::strtoul(seconds, nullptr, 10));
    if (const char* name = std::getenv("RAFT_REACHED")) out_ = std::fopen(name, "a");
  }
  ~listener() override {
    if (out_ != nullptr) std::fclose(out_);
  }

  void test_run_start() override { write(0, "*"); }
  void test_case_start(const doctest::TestCaseData& test) override { name_ = test.m_name; }
  void test_case_end(const doctest::CurrentTestCaseStats& stats) override { write(stats.seconds, name_); }

  void report_query(const doctest::QueryData&) override {}
  void test_run_end(const doctest::TestRunStats&) override {}
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}

 private:
  void write(double seconds, const char* name) {
    if (out_ == nullptr) return;
    std::fprintf(out_, "%f\t%s\t", seconds, name);
    for (int number = 0; number < raft_mutants::most; ++number) {
      if (raft_mutants::reached[number]) std::fprintf(out_, " %d", number);
      raft_mutants::reached[number] = false;
    }
    std::fputs("\n", out_);
  }

  std::FILE* out_ = nullptr;
  const char* name_ = "";
};

REGISTER_LISTENER("mutants", 1, listener);

}  // namespace
