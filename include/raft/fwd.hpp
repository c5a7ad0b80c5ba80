#pragma once

// The node's name and its default [floor 6], for headers that only mention it.

namespace raft {

struct no_observer;

template <class Transport, class Log, class Clock, class StateMachine, class Observer = no_observer>
class node;

}  // namespace raft
