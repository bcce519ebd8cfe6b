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
local ONE_CHAIN = 'hI5I5I4I4BHc0'   -- priority, first part, next part, entries, entries with a deadline,
                                    -- entries of the tail, its bytes, the tail
local CHAIN, QUEUE_OF_ONE = '>' .. ONE_CHAIN, QUEUE .. ONE_CHAIN
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

local function read_lane(text)
  if not text then
    return {live = 0, idle = 0, gone = 0, ended = 0, classes = 0, drain = 0, keep = 10000, age = 604800000,
            bytes = 1024, forgot = 0, parts = 0, due = 0, first = 0, next = 0}
  end
  local live, idle, gone, ended, classes, drain, keep, age, bytes, forgot, parts, due, first, next_one =
    unpack_struct(LANE, text)
  return {live = live, idle = idle, gone = gone, ended = ended, classes = classes, drain = drain, keep = keep,
          age = age, bytes = bytes, forgot = forgot, parts = parts, due = due, first = first, next = next_one}
end

local function lane_text(lane)
  return pack(LANE, lane.live, lane.idle, lane.gone, lane.ended, lane.classes, lane.drain, lane.keep,
    lane.age, lane.bytes, lane.forgot, lane.parts, lane.due, lane.first, lane.next)
end

local function lane_of(s)
  local lane = s.lane
  if not lane then
    lane = read_lane(get(s, 'lane'))
    s.lane = lane
  end
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

-- The bounds of a class's scores in act.
local BEHIND = {}
local function from_of(class) return class * BAND end
local function behind_of(class)
  local behind = BEHIND[class]
  if not behind then
    behind = '(' .. int((class + 1) * BAND)
    BEHIND[class] = behind
  end
  return behind
end

local function read_class(n, text)
  local time, ready, delayed, leased, done, dead, at = unpack_struct(CLASS, text)
  return {n = n, time = time, ready = ready, delayed = delayed, leased = leased, done = done, dead = dead,
          name = sub(text, at)}
end

local function class_text(class)
  return pack(CLASS, class.time, class.ready, class.delayed, class.leased, class.done, class.dead) ..
    class.name
end

local function class_of(s, n)
  local class = s.classes[n]
  if not class then
    class = read_class(n, get(s, 'c' .. n))
    s.classes[n] = class
  end
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

local function read_flow(name, text)
  if not text then
    return {name = name, leased = 0, waiting = 0, weight = 1, cap = 0, rate = 0, burst = 0, backlog = 0,
            paused = 0, tokens = 0, at = 0, parked = ''}
  end
  local leased, waiting, weight, cap, rate, burst, backlog, paused, tokens, at, parked =
    unpack_struct(FLOW, text)
  return {name = name, leased = leased, waiting = waiting, weight = weight, cap = cap, rate = rate,
          burst = burst, backlog = backlog, paused = paused, tokens = tokens, at = at,
          parked = sub(text, parked)}
end

-- False when there is nothing to say of it.
local function flow_text(flow)
  local plain = flow.weight == 1 and flow.cap == 0 and flow.rate == 0 and flow.backlog == 0
  if plain and flow.paused == 0 and flow.leased == 0 and flow.waiting == 0 and flow.parked == '' then
    return false
  end
  return pack(FLOW, flow.leased, flow.waiting, flow.weight, flow.cap, flow.rate, flow.burst, flow.backlog,
    flow.paused, flow.tokens, flow.at) .. flow.parked
end

local function flow_of(s, name)
  local flow = s.flows[name]
  if not flow then
    flow = read_flow(name, get(s, 'f' .. name))
    s.flows[name] = flow
  end
  return flow
end

-- One that is not there yet begins at its class's `time`.
local function read_queue(id, class, flow, text, time, now)
  local queue = {id = id, class = class, flow = flow, chains = {}, n = 0, fresh = not text, gone = false,
                 pass = time, served = now}
  if not text then return queue end
  local chains, at
  queue.pass, queue.served, chains, at = unpack_struct(QUEUE, text)
  for i = 1, chains do
    local priority, first, behind, n, dated, tailed, tail
    priority, first, behind, n, dated, tailed, tail, at = unpack_struct(CHAIN, text, at)
    queue.chains[i] = {priority = priority, first = first, next = behind, n = n, dated = dated,
                       tailed = tailed, tail = tail}
    queue.n = queue.n + n + dated
  end
  return queue
end

local function queue_text(queue)
  if #queue.chains == 1 then
    local chain = queue.chains[1]
    return pack(QUEUE_OF_ONE, queue.pass, queue.served, 1, chain.priority, chain.first, chain.next, chain.n,
      chain.dated, chain.tailed, #chain.tail, chain.tail)
  end
  local text = pack(QUEUE, queue.pass, queue.served, #queue.chains)
  for i = 1, #queue.chains do
    local chain = queue.chains[i]
    text = text .. pack(CHAIN, chain.priority, chain.first, chain.next, chain.n, chain.dated,
      chain.tailed, #chain.tail, chain.tail)
  end
  return text
end

local function queue_of(s, class, flow)
  local id = prefix_of(class) .. flow
  local queue = s.queues[id]
  if not queue then
    local text = get(s, 'g' .. id)
    queue = read_queue(id, class, flow, text, text and 0 or class_of(s, class).time, s.now)
    s.queues[id] = queue
  end
  return queue
end
