-- The machine lane fl:{m<n>}:…: jobs of worker processes under session leases, fair between flows.
-- Version 3 of the library: the former ones have other keys and other names, so that they can run
-- side by side. Part 1: what the lane is made of. Embedded as one library with the other parts, in
-- their order.
--
-- KEYS, the same for every function (names in common/redis/keys.h), all in one slot:
--   1 inc  2 seq  3 ev   as everywhere
--   4 st    HASH of packed state, see "State" below
--   5 job   HASH job → where it is, see part 2
--   6 act   ZSET "<class>|<flow>" → class · 2^45 + pass: who is served next in each class
--   7 z     ZSET due ms: "j<job>" of a delayed job, "f<flow>" of a flow that waits for its rate
--   8 dl    ZSET, scores 0, "<class>|<flow>|<rank>|<deadline ms>|<job>": ready jobs with deadlines
--   9 ses   ZSET session → ms before which its lease does not expire: it may stand a quarter of a
--           lease behind, so that a heartbeat costs no ZADD
--  10 dead  ZSET job → ms of death    11 wake  LIST of wake-up tokens
-- A job is in exactly one state: ready, delayed, leased, done, dead. Cancelled jobs are dead ones.
-- A ready job stands, bytes and all, in a part of its flow's queue. A lease takes a part off the queue
-- and names it in the grant of the tick; an ack of a whole grant gives its parts to the event: the
-- bytes stay where they are, for Lua hashes each string that it makes. Where a job stands is the truth
-- about it: who has the grant has the lease.
-- Fairness (start-time fair queueing, Goyal et al. 1996): each flow of a class has a pass; the lowest
-- is served, at most QUANTUM jobs in a row, and moves on by COST / weight for each. A flow that comes
-- back starts at the class's virtual time, and not before its own pass. Inside a flow: priority, then
-- deadline, then time. Between classes that a worker serves: who was served longest ago; a point of
-- priority counts as a second of waiting, so that nothing waits for ever.
-- Codes: OK; INCARNATION (ARGV[2] is not the slot's); INVALID; others above each function. An error
-- is for arguments of another shape, and comes before anything is written.

local EV, ST, JOB, ACT, Z, DL, SES, DEAD, WAKE = 3, 4, 5, 6, 7, 8, 9, 10, 11
local KEY_COUNT = 11

local MAX_ATTEMPTS = 5         -- failures of the handler
local MAX_CRASHES = 3          -- leases lost with their process
local BACKOFF_BASE_MS = 2000   -- full jitter below base · 2^(attempts-1), capped
local BACKOFF_CAP_MS = 300000
local MAX_HELD = 4096          -- jobs of one session
local MAX_GRANTS = 512         -- ticks whose leases one session has not yet settled
local MAX_BATCH = 100          -- acks, nacks, notes, wanted jobs in one call, each
local MAX_ENQUEUE = 1000
local MAX_CLASSES = 64         -- in one tick; 255 in all
local MAX_LIVE = 1000000       -- jobs that have not ended
local MAX_SESSIONS = 4096
local MAX_LEASE_MS = 86400000
local MAX_WAKE = 64
local PROMOTE = 100
local QUANTUM = 25
local COST = 128               -- of one job at weight 1; weights are 1 … 128
local BAND = 2 ^ 45            -- passes of one class
local CHUNK = 25               -- entries of a part: one quantum
local TAIL_BYTES = 640         -- entries that fit into the field of their queue
local VISITS = 200             -- flows looked at in one call
local EVENT_BYTES = 4194304

-- Bound at the first call: while a library is loaded there are no globals but `redis`.
local find, sub, byte, char, pack, unpack_struct

-- ---- State ---------------------------------------------------------------------------------------
-- Fields of st, read once and written once a call (flush):
--   "lane" → LANE;  "timer" → "session|due ms": who waits for the next delayed job
--   "k<name>" → class number;  "c<class>" → CLASS and its name;  "f<flow>" → FLOW and parked classes
--   "g<class>|<flow>" → QUEUE and for each priority, high first, a CHAIN and its tail of entries
--   "q<number>" → entries: a part, of the queue whose chain it is in, or of a grant
--   "p<number>" → PART, while it is in a chain: the parts of a chain name each other
--   "s<session>" → SESSION and " grant grant … ";  "h<grant>" → see part 6
--   "n<job>" → progress; "e<job>" → last error; "d<session>" → description
--   "b<number>" → done jobs that ended together, see part 5
-- live: jobs that have not ended; idle: sessions that wait; gone: cancelled jobs whose holder has not
-- let go; ended: done jobs remembered; classes; drain: 1 if all drain; then what is remembered of
-- ended jobs: how many done ones and dead ones, for how many ms, results up to how many bytes; what is
-- forgotten; parts numbered so far; the next due ms, or 0; numbers of the first done jobs remembered
-- and of the next.
local LANE = '>I4I4I4I4BBI4dI4dI5dI5I5'
local CLASS = '>dI4I4I4dI4'         -- virtual time, ready, delayed, leased, done, dead
local FLOW = '>I4I4HI4dI4I4Bdd'     -- leased, waiting, weight, cap, rate, burst, backlog, paused, tokens, at
local QUEUE = '>ddB'                -- pass, served ms, chains
local CHAIN = '>hI5I5I4I4BHc0'      -- priority, first part, next part, entries, entries with a deadline,
                                    -- entries of the tail, its bytes, the tail
local PART = '>I5B'                 -- the part behind it, entries

-- Tables are made with all their fields: each growth of one costs as much as a command.
local function begin(keys, now)
  return {keys = keys, now = now, text = {}, put = {}, flows = {}, queues = {}, classes = {}, jobs = {},
          act = {}, told = {}, ready = 0, lane = false, events = false, forget = false, due = false,
          unact = false, soonest = false}
end

local function load(s, fields)
  local text, missing, n = s.text, fields, #fields
  if next(text) then
    missing, n = {}, 0
    for i = 1, #fields do
      if text[fields[i]] == nil then
        n = n + 1
        missing[n] = fields[i]
      end
    end
  end
  if n == 0 then return end
  local values = redis.call('HMGET', s.keys[ST], unpack(missing))
  for i = 1, n do text[missing[i]] = values[i] end
end

local function get(s, field)
  local value = s.text[field]
  if value == nil then
    value = redis.call('HGET', s.keys[ST], field)
    s.text[field] = value
  end
  return value
end

-- A whole number from 0 to `most`, written in digits; nil for anything else. (Lua's own reading takes
-- "nan", "1e3" and "0x10" for numbers.)
local function whole(text, most)
  local n = text and #text <= 15 and find(text, '^%d+$') and tonumber(text)
  return n and n <= most and n or nil
end

-- Writes nothing when the field has that value already.
local function set(s, field, value)
  if s.text[field] == value then return end
  s.text[field], s.put[field] = value, value
end

-- Appends to a list of the call that most calls do not have.
local function note(s, list, value)
  local of = s[list]
  if not of then
    of = {}
    s[list] = of
  end
  of[#of + 1] = value
end

local function lane_of(s)
  local lane = s.lane
  if lane then return lane end
  lane = {live = 0, idle = 0, gone = 0, ended = 0, classes = 0, drain = 0, keep = 10000,
          age = 604800000, bytes = 1024, forgot = 0, parts = 0, due = 0, first = 0, next = 0}
  local text = get(s, 'lane')
  if text then
    lane.live, lane.idle, lane.gone, lane.ended, lane.classes, lane.drain, lane.keep, lane.age,
      lane.bytes, lane.forgot, lane.parts, lane.due, lane.first, lane.next = unpack_struct(LANE, text)
  end
  s.lane = lane
  return lane
end

-- "<class>|": a number costs more to write out than a function to call.
local PREFIXES = {}
local function prefix_of(class)
  local prefix = PREFIXES[class]
  if not prefix then
    prefix = class .. '|'
    PREFIXES[class] = prefix
  end
  return prefix
end

local function class_of(s, n)
  local class = s.classes[n]
  if class then return class end
  local at
  class = {n = n, time = 0, ready = 0, delayed = 0, leased = 0, done = 0, dead = 0, name = ''}
  local text = get(s, 'c' .. n)
  class.time, class.ready, class.delayed, class.leased, class.done, class.dead, at =
    unpack_struct(CLASS, text)
  class.name = sub(text, at)
  s.classes[n] = class
  return class
end

-- The number of a class that has one; `guess` is the caller's belief, or 0.
local function class_known(s, guess, name)
  if guess > 0 and get(s, 'c' .. guess) and class_of(s, guess).name == name then return guess end
  return tonumber(get(s, 'k' .. name) or nil)
end

-- The number of a class, which it gets when it is first seen. Nil when there are too many.
local function class_named(s, guess, name)
  local n = class_known(s, guess, name)
  if n then return n end
  local lane = lane_of(s)
  n = lane.classes + 1
  if n > 255 then return nil end
  lane.classes = n
  set(s, 'k' .. name, int(n))
  s.classes[n] = {n = n, time = 0, ready = 0, delayed = 0, leased = 0, done = 0, dead = 0, name = name}
  return n
end

local function flow_of(s, name)
  local flow = s.flows[name]
  if flow then return flow end
  local text, at = get(s, 'f' .. name), nil
  flow = {name = name, leased = 0, waiting = 0, weight = 1, cap = 0, rate = 0, burst = 0, backlog = 0,
          paused = 0, tokens = 0, at = 0, parked = ''}
  if text then
    flow.leased, flow.waiting, flow.weight, flow.cap, flow.rate, flow.burst, flow.backlog,
      flow.paused, flow.tokens, flow.at, at = unpack_struct(FLOW, text)
    flow.parked = sub(text, at)
  end
  s.flows[name] = flow
  return flow
end

local function queue_of(s, class, flow)
  local id = prefix_of(class) .. flow
  local queue = s.queues[id]
  if queue then return queue end
  local text = get(s, 'g' .. id)
  queue = {id = id, class = class, flow = flow, chains = {}, n = 0, fresh = not text, gone = false,
           pass = 0, served = 0}
  if text then
    local chains, at
    queue.pass, queue.served, chains, at = unpack_struct(QUEUE, text)
    for i = 1, chains do
      local chain = {priority = 0, first = 0, next = 0, n = 0, dated = 0, tailed = 0, tail = ''}
      chain.priority, chain.first, chain.next, chain.n, chain.dated, chain.tailed, chain.tail, at =
        unpack_struct(CHAIN, text, at)
      queue.chains[i] = chain
      queue.n = queue.n + chain.n + chain.dated
    end
  else
    queue.pass, queue.served = class_of(s, class).time, s.now
  end
  s.queues[id] = queue
  return queue
end

local function save_flow(s, flow)
  local plain = flow.weight == 1 and flow.cap == 0 and flow.rate == 0 and flow.backlog == 0
  if plain and flow.paused == 0 and flow.leased == 0 and flow.waiting == 0 and flow.parked == '' then
    set(s, 'f' .. flow.name, false)
  else
    set(s, 'f' .. flow.name, pack(FLOW, flow.leased, flow.waiting, flow.weight, flow.cap, flow.rate,
      flow.burst, flow.backlog, flow.paused, flow.tokens, flow.at) .. flow.parked)
  end
end

local function save_queue(s, queue)
  if queue.gone then return set(s, 'g' .. queue.id, false) end
  local text = pack(QUEUE, queue.pass, queue.served, #queue.chains)
  for i = 1, #queue.chains do
    local chain = queue.chains[i]
    text = text .. pack(CHAIN, chain.priority, chain.first, chain.next, chain.n, chain.dated,
      chain.tailed, #chain.tail, chain.tail)
  end
  set(s, 'g' .. queue.id, text)
end

-- Lua's stack bounds what one call can take.
local function call_all(command, key, list)
  local n = #list
  if n == 0 then return end
  if n <= 4000 then return redis.call(command, key, unpack(list)) end
  for at = 1, n, 4000 do
    redis.call(command, key, unpack(list, at, math.min(n, at + 3999)))
  end
end

-- The order of the queues, before it is read and at the end.
local function flush_order(s)
  if s.unact then call_all('ZREM', s.keys[ACT], s.unact) end
  if next(s.act) then
    local act, n = {}, 0
    for id, score in pairs(s.act) do
      act[n + 1], act[n + 2] = score, id
      n = n + 2
    end
    call_all('ZADD', s.keys[ACT], act)
    s.act = {}
  end
  s.unact = false
end

-- Returns how many ids are new, of fewer than 2,000.
local function flush_jobs(s)
  if #s.jobs == 0 then return 0 end
  local new = call_all('HSET', s.keys[JOB], s.jobs)
  s.jobs = {}
  return new
end

-- The events of the jobs that ended (see tell): one, unless a record log would not take it (16 MiB a
-- record).
local function tell_all(s)
  local names, fields, bytes = '', {}, 0
  for n in pairs(s.told) do names = names .. n .. ' ' .. class_of(s, n).name .. '\n' end
  for i = 1, #s.events do
    local event = s.events[i]
    if bytes > 0 and bytes + event.bytes > EVENT_BYTES then
      emit(s.keys, s.now, 'ended', 'classes', names, unpack(fields))
      fields, bytes = {}, 0
    end
    local n = #fields
    for j = 1, #event do fields[n + j] = event[j] end
    bytes = bytes + event.bytes
  end
  return emit(s.keys, s.now, 'ended', 'classes', names, unpack(fields))
end

local function flush_state(s)
  local puts, drops, n = {}, {}, 0
  for field, value in pairs(s.put) do
    if value then
      puts[n + 1], puts[n + 2] = field, value
      n = n + 2
    else
      drops[#drops + 1] = field
    end
  end
  call_all('HSET', s.keys[ST], puts)
  call_all('HDEL', s.keys[ST], drops)
end

-- Writes what the call has decided. Returns the sequence number of the event of the jobs that ended.
local function flush(s)
  local seq = s.events and tell_all(s) or 0
  for n, class in pairs(s.classes) do
    set(s, 'c' .. n, pack(CLASS, class.time, class.ready, class.delayed, class.leased, class.done,
      class.dead) .. class.name)
  end
  for _, flow in pairs(s.flows) do save_flow(s, flow) end
  for _, queue in pairs(s.queues) do save_queue(s, queue) end
  local lane = s.lane
  if lane then
    set(s, 'lane', pack(LANE, lane.live, lane.idle, lane.gone, lane.ended, lane.classes, lane.drain,
      lane.keep, lane.age, lane.bytes, lane.forgot, lane.parts, lane.due, lane.first, lane.next))
  end
  flush_state(s)
  flush_jobs(s)
  if s.forget then call_all('HDEL', s.keys[JOB], s.forget) end
  flush_order(s)
  if s.due then call_all('ZADD', s.keys[Z], s.due) end
  return seq
end
