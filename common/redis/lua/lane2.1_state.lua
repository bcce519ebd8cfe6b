-- The machine lane fl:{m<n>}:…: jobs of worker processes under session leases, fair between flows.
-- Version 2 of the library: version 1 had other keys and other names, so both can run side by side.
-- Part 1: what the lane is made of. Embedded as one library with the other parts, in their order.
--
-- KEYS, the same for every function (names in common/redis/keys.h), all in one slot:
--   1 inc  2 seq  3 ev   as everywhere
--   4 st    HASH of packed state, see "State" below
--   5 job   HASH job → live or dead job, or the mark of a done one, see job_of
--   6 act   ZSET "<class>|<flow>" → class · 2^45 + pass: who is served next in each class
--   7 z     ZSET due ms: "<entry>" of a delayed job, "\n<flow>" of a flow that waits for its rate
--   8 dl    ZSET, scores 0, "<class>|<flow>|<rank>|<deadline ms>|<entry>": ready jobs with deadlines
--   9 ses   ZSET session → lease expiry ms
--  10 dead  ZSET job → ms of death    11 done  LIST "<ms>|<job>\n<job>…", the oldest first
--  12 wake  LIST of wake-up tokens
-- An entry names a job's place: its id, behind "<generation>|" unless that is the first. The
-- generation, a character, changes with every return to a queue, so what an old entry names is
-- stale: it is skipped, or its holder told.
-- A job is in exactly one state: ready, delayed, leased, done, dead. Cancelled jobs are dead ones.
-- Fairness (start-time fair queueing, Goyal et al. 1996): each flow of a class has a pass; the lowest
-- is served, at most QUANTUM jobs in a row, and moves on by COST / weight for each. A flow that comes
-- back starts at the class's virtual time, and not before its own pass. Inside a flow: priority, then
-- deadline, then time. Between classes that a worker serves: who was served longest ago; a point of
-- priority counts as a second of waiting, so that nothing waits for ever.
-- Codes: OK; INCARNATION (ARGV[2] is not the slot's); INVALID; others above each function.

local SEQ, EV, ST, JOB, ACT, Z, DL, SES, DEAD, DONE, WAKE = 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12

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
local MAX_WAKE = 64
local PROMOTE = 100
local QUANTUM = 16
local COST = 128               -- of one job at weight 1; weights are 1 … 128
local BAND = 2 ^ 45            -- passes of one class
local CHUNK = 16               -- entries of a part of a queue that came together: one quantum
local TAIL_BYTES = 480         -- a part this long is not appended to
local FIRST_PART = 2 ^ 31
local VISITS = 200             -- flows looked at in one call
local EVENT_BYTES = 4194304
local EVENT_TEXTS = 1600       -- four a job

-- Bound at the first call: while a library is loaded there are no globals but `redis`.
local find, sub, byte, char, pack, unpack_struct

-- ---- State ---------------------------------------------------------------------------------------
-- Fields of st, read once and written once a call (flush):
--   "lane" → LANE;  "timer" → "session|due ms": who waits for the next delayed job
--   "k<name>" → class number;  "c<class>" → CLASS and its name;  "f<flow>" → FLOW and parked classes
--   "g<class>|<flow>" → QUEUE and a PART for each priority, high first; "q<…>|<priority>|<n>" → entries
--   "s<session>" → "expiry|idle|drain|held|grant grant …";  "h<grant>" → "session\n" and entries
--   "n<job>" → progress; "e<job>" → last error; "d<session>" → description; "x<job>" → see leave
-- live: jobs that have not ended; idle: sessions that wait; gone: held entries that are stale; ended:
-- done jobs remembered; classes; drain: 1 if all drain; then what is remembered of ended jobs: how
-- many done ones and dead ones, for how many ms, results up to how many bytes; what is forgotten; and
-- left: ids of which stale entries lie about.
local LANE = '>I4I4I4I4BBI4dI4dI4'
local CLASS = '>dI4I4I4dI4'         -- virtual time, ready, delayed, leased, done, dead
local FLOW = '>I4I4HI4dI4I4Bdd'     -- leased, waiting, weight, cap, rate, burst, backlog, paused, tokens, at
local QUEUE = '>ddB'                -- pass, served ms, parts
local PART = '>hI4I4I4I4'           -- priority, first, last, entries, entries with a deadline
local HEADER = '>c1BhBBBB'          -- mark, class, priority, attempts, crashes, generation, #flow

local function begin(keys, now)
  return {keys = keys, now = now, text = {}, put = {}, flows = {}, queues = {}, classes = {},
          jobs = {}, forget = {}, act = {}, unact = {}, due = {}, undue = {}, ended = {}, events = {}, told = {},
          ready = 0}
end

local function load(s, fields)
  local missing = {}
  for _, field in ipairs(fields) do
    if s.text[field] == nil then missing[#missing + 1] = field end
  end
  if #missing == 0 then return end
  local values = redis.call('HMGET', s.keys[ST], unpack(missing))
  for i, field in ipairs(missing) do s.text[field] = values[i] end
end

local function get(s, field)
  if s.text[field] == nil then s.text[field] = redis.call('HGET', s.keys[ST], field) end
  return s.text[field]
end

-- Writes nothing when the field has that value already.
local function set(s, field, value)
  if s.text[field] == value then return end
  s.text[field], s.put[field] = value, value
end

local function lane_of(s)
  local lane = s.lane
  if lane then return lane end
  lane = {live = 0, idle = 0, gone = 0, ended = 0, classes = 0, drain = 0, keep = 10000,
          age = 604800000, bytes = 1024, forgot = 0, left = 0}
  local text = get(s, 'lane')
  if text then
    lane.live, lane.idle, lane.gone, lane.ended, lane.classes, lane.drain, lane.keep, lane.age,
      lane.bytes, lane.forgot, lane.left = unpack_struct(LANE, text)
  end
  s.lane = lane
  return lane
end

local function number(s, field) return lane_of(s)[field] end

-- Appends the lines of a text, each with its end, to a list of `n`; returns how many it has then.
local function lines(text, at, list, n)
  local length = #text
  while at <= length do
    local stop = find(text, '\n', at, true)
    n = n + 1
    list[n] = sub(text, at, stop - 1)
    at = stop + 1
  end
  return n
end

local function add(s, field, by)
  local lane = lane_of(s)
  lane[field] = lane[field] + by
end

local function class_of(s, n)
  local class = s.classes[n]
  if class then return class end
  local at
  class = {n = n}
  local text = get(s, 'c' .. n)
  class.time, class.ready, class.delayed, class.leased, class.done, class.dead, at =
    unpack_struct(CLASS, text)
  class.name = sub(text, at)
  s.classes[n] = class
  return class
end

-- The number of a class, which it gets when it is first seen. Nil when there are too many.
local function class_named(s, name)
  local n = tonumber(get(s, 'k' .. name) or nil)
  if n then return n end
  n = number(s, 'classes') + 1
  if n > 255 then return nil end
  add(s, 'classes', 1)
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
  local id = class .. '|' .. flow
  local queue = s.queues[id]
  if queue then return queue end
  local text = get(s, 'g' .. id)
  queue = {id = id, class = class, flow = flow, parts = {}, n = 0, fresh = not text}
  if text then
    local parts, at
    queue.pass, queue.served, parts, at = unpack_struct(QUEUE, text)
    for i = 1, parts do
      local part = {}
      part.priority, part.first, part.last, part.n, part.dated, at = unpack_struct(PART, text, at)
      queue.parts[i] = part
      queue.n = queue.n + part.n + part.dated
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
  local text = {pack(QUEUE, queue.pass, queue.served, #queue.parts)}
  for i, part in ipairs(queue.parts) do
    text[i + 1] = pack(PART, part.priority, part.first, part.last, part.n, part.dated)
  end
  set(s, 'g' .. queue.id, table.concat(text))
end

-- Lua's stack bounds what one call can take.
local function call_all(command, key, list)
  for at = 1, #list, 4000 do
    redis.call(command, key, unpack(list, at, math.min(#list, at + 3999)))
  end
end

-- The order of the queues, before it is read and at the end.
local function flush_order(s)
  call_all('ZREM', s.keys[ACT], s.unact)
  local act = {}
  for id, score in pairs(s.act) do
    act[#act + 1] = int(score)
    act[#act + 1] = id
  end
  call_all('ZADD', s.keys[ACT], act)
  s.act, s.unact = {}, {}
end

-- The events of the jobs that ended: one, unless a record log would not take it (16 MiB a record).
-- They go to Redis text by text: one string of them all would be copied and hashed once more.
local function tell_all(s)
  local events, names, from, bytes, seq = s.events, {}, 1, 0, 0
  for n, name in pairs(s.told) do names[#names + 1] = n .. ' ' .. name .. '\n' end
  names = table.concat(names)
  for at = 4, #events, 4 do
    bytes = bytes + #events[at - 2] + #events[at]
    if bytes > EVENT_BYTES or at - from >= EVENT_TEXTS or at == #events then
      seq = emit(s.keys, s.now, 'jobs', 'classes', names, unpack(events, from, at))
      from, bytes = at + 1, 0
    end
  end
  return seq
end

local function flush_jobs(s)
  call_all('HSET', s.keys[JOB], s.jobs)
  s.jobs = {}
end

-- Writes what the call has decided. Returns the sequence number of the event of the jobs that ended.
local function flush(s)
  local seq = 0
  if #s.events > 0 then seq = tell_all(s) end
  for n, class in pairs(s.classes) do
    set(s, 'c' .. n, pack(CLASS, class.time, class.ready, class.delayed, class.leased, class.done,
      class.dead) .. class.name)
  end
  for _, flow in pairs(s.flows) do save_flow(s, flow) end
  local lane = s.lane
  if lane then
    set(s, 'lane', pack(LANE, lane.live, lane.idle, lane.gone, lane.ended, lane.classes, lane.drain,
      lane.keep, lane.age, lane.bytes, lane.forgot, lane.left))
  end
  for _, queue in pairs(s.queues) do save_queue(s, queue) end
  local puts, drops = {}, {}
  for field, value in pairs(s.put) do
    if value then
      puts[#puts + 1] = field
      puts[#puts + 1] = value
    else
      drops[#drops + 1] = field
    end
  end
  call_all('HSET', s.keys[ST], puts)
  call_all('HDEL', s.keys[ST], drops)
  flush_jobs(s)
  call_all('HDEL', s.keys[JOB], s.forget)
  flush_order(s)
  call_all('ZREM', s.keys[Z], s.undue)
  call_all('ZADD', s.keys[Z], s.due)
  call_all('RPUSH', s.keys[DONE], s.ended)
  return seq
end

-- ---- Jobs ----------------------------------------------------------------------------------------
-- mark "w" waiting or leased, "x" dead; in upper case a deadline (6 bytes) follows the header. Then
-- the flow and the record (common/queue/job_codec.h). "d" done: end ms (6 bytes) and the result.
local LIVE, LIVE_DATED, GONE, GONE_DATED, ENDED = 119, 87, 120, 88, 100
local FIRST_GENERATION, LAST_GENERATION = 48, 111   -- one printable character

local function job_of(id, text)
  if not text then return nil end
  if byte(text) == ENDED then return {id = id, done = true, text = text} end
  local mark, class, _, _, attempts, crashes, generation, length = byte(text, 1, 8)
  local job = {id = id, text = text, class = class, attempts = attempts, crashes = crashes,
               generation = generation, deadline = 0, dead = mark == GONE or mark == GONE_DATED}
  local at = 9
  if mark == LIVE_DATED or mark == GONE_DATED then
    job.deadline, at = unpack_struct('>I6', text, at)
  end
  job.flow, job.record_at = sub(text, at, at + length - 1), at + length
  return job
end

local function priority_of(job) return (select(2, unpack_struct('>Hh', job.text))) end

-- What of a job is needed only when it goes back to a queue.
local function reopen(job)
  job.priority = priority_of(job)
  job.record = sub(job.text, job.record_at)
  job.generation = job.generation >= LAST_GENERATION and FIRST_GENERATION or job.generation + 1
  return job
end

local function save_job(s, job)
  local mark = job.dead and 'x' or 'w'
  local dated = job.deadline > 0
  job.text = pack(HEADER, dated and string.upper(mark) or mark, job.class, job.priority,
    job.attempts, job.crashes, job.generation, #job.flow) ..
    (dated and pack('>I6', job.deadline) or '') .. job.flow .. job.record
  s.jobs[#s.jobs + 1] = job.id
  s.jobs[#s.jobs + 1] = job.text
end

local function read_job(s, id) return job_of(id, redis.call('HGET', s.keys[JOB], id)) end

local function entry_of(job)
  if job.generation == FIRST_GENERATION then return job.id end
  return char(job.generation) .. '|' .. job.id
end

-- Id and generation of an entry; '|' stands in no id.
local function split(entry)
  if byte(entry, 2) == 124 then return sub(entry, 3), byte(entry) end
  return entry, FIRST_GENERATION
end

-- Whether an entry still names its job's place.
local function fresh(job, entry)
  if not job or job.done or job.dead then return false end
  local _, generation = split(entry)
  return job.generation == generation
end

-- The entry of a job that is cancelled stays where it is, stale, until somebody comes upon it. So that
-- a later job of that id is not found by it, "x<job>" keeps how many such entries there are and a
-- generation that none of them has: "<entries>|<generation>".
local function leave(s, job)
  local entries = string.match(get(s, 'x' .. job.id) or '0', '^%d+')
  if entries == '0' then add(s, 'left', 1) end
  set(s, 'x' .. job.id, int(entries + 1) .. '|' .. int(job.generation))
end

-- A stale entry is gone.
local function drop(s, id)
  local entries, generation = string.match(get(s, 'x' .. id) or '', '^(%d+)|(%d+)$')
  if not entries then return end
  if entries == '1' then
    add(s, 'left', -1)
    set(s, 'x' .. id, false)
  else
    set(s, 'x' .. id, int(entries - 1) .. '|' .. generation)
  end
end
