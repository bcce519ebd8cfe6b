-- Part 2 of lane3: the bytes of a job, where they stand, and how a call is written.
-- ---- Jobs ----------------------------------------------------------------------------------------
-- BODY of a job: HEADER, 6 bytes of deadline if the mark is in upper case, the flow, and the record
-- (common/queue/job_codec.h). Mark "w" waiting or leased, "x" dead.
-- ENTRY, as it stands in parts, tails, grants and events: the id's length (1 byte), the id, the
-- body's length (3 bytes), the body. In a grant "\0\0" stands for a job that was given back and
-- "\0\1" for one that was cancelled and not yet given back.
-- The hash `job` says where a job is:
--   a body         delayed, dead, or with a deadline: ready, leased
--   "q<5 bytes>"   in the part of that number, or leased
--   "t<class><5 bytes><flow>"   in the tail of that queue, which becomes the part of that number, or
--                  leased
--   "d<5 bytes>"   done: its end and result are in that "b" field
local HEADER = '>c1BhBBBB'          -- mark, class, priority, attempts, crashes, "0", #flow
local ENTRY = '>Bc0I3'
local WALK = '>Bc0I3I4B'            -- id, length of the body, its first 4 bytes, attempts
local LIVE_DATED, DEAD_MARK, DEAD_DATED = 87, 120, 88
local MARK_DONE, MARK_PART, MARK_TAIL = 100, 113, 116

local function entry_of(id, body) return pack(ENTRY, #id, id, #body) .. body end

-- Where the entry behind the one at `at` begins, and the id and where the body of this one begins.
local function step(text, at)
  local id, size, body = unpack_struct(ENTRY, text, at)
  return body + size, id, body
end

local function body_of(job)
  local dated = job.deadline > 0
  local mark = job.dead and 'x' or 'w'
  return pack(HEADER, dated and string.upper(mark) or mark, job.class, job.priority, job.attempts,
    job.crashes, 48, #job.flow) .. (dated and pack('>I6', job.deadline) or '') .. job.flow .. job.record
end

local function job_of(id, body)
  local job, mark = {id = id, body = body, deadline = 0}, byte(body)
  local _, length, at
  _, job.class, job.priority, job.attempts, job.crashes, _, length, at = unpack_struct(HEADER, body)
  job.dead = mark == DEAD_MARK or mark == DEAD_DATED
  if mark == LIVE_DATED or mark == DEAD_DATED then job.deadline, at = unpack_struct('>I6', body, at) end
  job.flow, job.record = sub(body, at, at + length - 1), sub(body, at + length)
  return job
end

-- Class and flow of a body, where nothing else of it is wanted.
local function owner_of(body)
  local mark, class, _, _, _, _, _, length = byte(body, 1, 8)
  local at = (mark == LIVE_DATED or mark == DEAD_DATED) and 15 or 9
  return class, sub(body, at, at + length - 1)
end

local function put_job(s, id, value)
  local jobs = s.jobs
  local n = #jobs
  jobs[n + 1], jobs[n + 2] = id, value
end

-- The body is kept under the id: of a job that stands nowhere else.
local function save_body(s, job)
  job.body = body_of(job)
  put_job(s, job.id, job.body)
end

local function part_hint(number) return 'q' .. pack('>I5', number) end

-- What the event says of jobs that ended, all of a class in s.told: "e" and entries, as often as
-- need be, then "r" and their results or errors as texts in one (part 5) (common/queue/job_codec.h
-- reads it). `texts`: the entries.
local function tell(s, texts, outcomes)
  local event, n = {bytes = #outcomes}, 0
  for i = 1, #texts do
    event[n + 1], event[n + 2] = 'e', texts[i]
    event.bytes = event.bytes + #texts[i]
    n = n + 2
  end
  event[n + 1], event[n + 2] = 'r', outcomes
  s.events = s.events or {}
  s.events[#s.events + 1] = event
end

-- Finds an id among entries from `at` on: where its entry begins, where its body begins, and where
-- the next entry begins. Nil when it is not there. "\0" entries are stepped over.
local function find_entry(text, at, id)
  if not find(text, char(#id) .. id, at, true) then return nil end
  while at <= #text do
    if byte(text, at) == 0 then
      at = at + 2
    else
      local behind, other, body = step(text, at)
      if other == id then return at, body, behind end
      at = behind
    end
  end
  return nil
end

-- Where a job is of which the hash says `hint`: {number, text, at, body, behind} in a part, which may be
-- leased, {chain, …} in the tail of its queue. Nil when it was taken out of one: it is leased.
local function place_named(s, id, hint)
  local tail = byte(hint) == MARK_TAIL
  local number = unpack_struct('>I5', hint, tail and 3 or 2)
  local text = get(s, 'q' .. number)
  if text then
    local at, body, behind = find_entry(text, 1, id)
    if at then return {number = number, text = text, at = at, body = body, behind = behind} end
  end
  if not tail then return nil end
  local class, flow = byte(hint, 2), sub(hint, 8)
  if not get(s, 'g' .. class .. '|' .. flow) then return nil end
  local queue = queue_of(s, class, flow)
  for i = 1, #queue.chains do
    local chain = queue.chains[i]
    local at, body, behind = find_entry(chain.tail, 1, id)
    if at then return {chain = chain, text = chain.tail, at = at, body = body, behind = behind} end
  end
  return nil
end

-- ---- Writing -------------------------------------------------------------------------------------
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

-- Appends the fields of st to be written and to be dropped.
local function take_puts(s, puts, drops)
  local n = #puts
  for field, value in pairs(s.put) do
    if value then
      puts[n + 1], puts[n + 2] = field, value
      n = n + 2
    else
      drops[#drops + 1] = field
    end
  end
end

local function flush_state(s)
  local puts, drops = {}, {}
  take_puts(s, puts, drops)
  call_all('HSET', s.keys[ST], puts)
  call_all('HDEL', s.keys[ST], drops)
end

-- Writes what the call has decided. Returns the sequence number of the event of the jobs that ended.
local function flush(s)
  local seq = s.events and tell_all(s) or 0
  for n, class in pairs(s.classes) do set(s, 'c' .. n, class_text(class)) end
  for name, flow in pairs(s.flows) do set(s, 'f' .. name, flow_text(flow)) end
  for id, queue in pairs(s.queues) do set(s, 'g' .. id, not queue.gone and queue_text(queue)) end
  if s.lane then set(s, 'lane', lane_text(s.lane)) end
  flush_state(s)
  flush_jobs(s)
  if s.forget then call_all('HDEL', s.keys[JOB], s.forget) end
  flush_order(s)
  if s.due then call_all('ZADD', s.keys[Z], s.due) end
  return seq
end
