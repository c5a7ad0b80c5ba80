// A Transport compiles as it is; each case takes one requirement away. See ../run.py.
//
// case LACKS_SEND: sends_messages
// case LACKS_SEND: a Transport needs: void send(const raft::message&)
// case LACKS_SEND: t.send(m)
// case SEND_TAKES_ANOTHER_TYPE: sends_messages
// case SEND_TAKES_ANOTHER_TYPE: a Transport needs: void send(const raft::message&)
#include <raft/policies.hpp>

struct my_transport {
#if defined(SEND_TAKES_ANOTHER_TYPE)
  void send(int) {}
#elif !defined(LACKS_SEND)
  void send(const raft::message&) {}
#endif
};

static_assert(raft::transport_policy<my_transport>);
static_assert(raft::explain_transport<my_transport>());
