-- Part 5 of lane3: ends of jobs, wake-ups, what is due.
-- ---- Ends ----------------------------------------------------------------------------------------
local function forget_dead(s, id, job)
  local class, lane = class_of(s, job.class), lane_of(s)
  class.dead = class.dead - 1
  note(s, 'forget', id)
  set(s, 'e' .. id, false)
  set(s, 'n' .. id, false)
  lane.forgot = lane.forgot + 1
end

-- The job is dead. Who calls has taken it off its queue or its holder.
local function to_dead(s, job, err)
  job.dead = true
  save_body(s, job)
  set(s, 'e' .. job.id, err)
  redis.call('ZADD', s.keys[DEAD], int(s.now), job.id)
  local lane, class = lane_of(s), class_of(s, job.class)
  class.dead = class.dead + 1
  lane.live = lane.live - 1
  s.told[job.class] = true
  tell(s, {entry_of(job.id, job.body)}, pack('>I3', #err) .. err)
  if redis.call('ZCARD', s.keys[DEAD]) <= lane.keep then return end
  local oldest = redis.call('ZPOPMIN', s.keys[DEAD])[1]
  local body = oldest ~= job.id and redis.call('HGET', s.keys[JOB], oldest)
  if body then forget_dead(s, oldest, job_of(oldest, body)) end
end

-- n texts in one: their lengths (3 bytes each), then the texts. How they are brought by an ack, told
-- by the event and remembered.
local THREES = {}                   -- n → the format of n such lengths
local function threes(n)
  if not THREES[n] then THREES[n] = '>' .. string.rep('I3', n) end
  return THREES[n]
end

-- The lengths, the longest, and where the texts begin. Nil when these are not n texts.
local function sizes_of(texts, n)
  if #texts < 3 * n then return nil end
  local sizes, most, total = {unpack_struct(threes(n), texts)}, 0, 3 * n
  for i = 1, n do
    local size = sizes[i]
    total = total + size
    if size > most then most = size end
  end
  if total ~= #texts then return nil end
  return sizes, most, 3 * n + 1
end

-- Those of the texts that `keep` has; the others are '' or, with `drop`, left out.
local function some_of(texts, n, keep, drop)
  local sizes, _, at = sizes_of(texts, n)
  local kept, lengths = {}, {}
  for i = 1, n do
    if keep(i, sizes[i]) then
      kept[#kept + 1], lengths[#lengths + 1] = sub(texts, at, at + sizes[i] - 1), sizes[i]
    elseif not drop then
      lengths[#lengths + 1] = 0
    end
    at = at + sizes[i]
  end
  return pack(threes(#lengths), unpack(lengths)) .. table.concat(kept)
end

-- A "b" field: DONE, the lengths of the ids (1 byte each), the ids, the results as texts in one.
local DONE = '>dB'                  -- ms, n

-- The ids of done jobs that ended together, when, and where their results begin.
local function read_done(text)
  local ms, n, at = unpack_struct(DONE, text)
  local lengths, ids, from = {byte(text, at, at + n - 1)}, {}, at + n
  for i = 1, n do
    ids[i] = sub(text, from, from + lengths[i] - 1)
    from = from + lengths[i]
  end
  return ids, ms, from
end

-- Forgets the first done jobs; `before_ms`: only when they ended by then. False when there was none.
local function forget_first(s, before_ms)
  local lane = lane_of(s)
  if lane.first == lane.next then return false end
  local field = 'b' .. lane.first
  local ids, ms = read_done(get(s, field))
  if before_ms and ms > before_ms then return false end
  local forget, n = s.forget or {}, #ids
  local base = #forget
  for i = 1, n do forget[base + i] = ids[i] end
  s.forget = forget
  set(s, field, false)
  lane.first, lane.ended, lane.forgot = lane.first + 1, lane.ended - n, lane.forgot + n
  return true
end

-- The value that says of the jobs which this call ends where they are.
local function done_hint(lane) return 'd' .. pack('>I5', lane.next) end

-- Remembers the done jobs of this call.
local function remember(s, ids, results, longest)
  local lane, n, lengths = lane_of(s), #ids, {}
  if longest > lane.bytes then
    results = some_of(results, n, function(_, size) return size <= lane.bytes end)
  end
  for i = 1, n do lengths[i] = #ids[i] end
  set(s, 'b' .. lane.next, pack(DONE, s.now, n) .. char(unpack(lengths)) .. table.concat(ids) .. results)
  lane.next, lane.ended, lane.live = lane.next + 1, lane.ended + n, lane.live - n
  if lane.ended >= lane.keep + MAX_BATCH then forget_first(s) end
end

-- End and result of a done job: what the hash says of it is `text`.
local function done_of(s, id, text)
  local together = get(s, 'b' .. unpack_struct('>I5', text, 2))
  local ids, ms, from = read_done(together)
  local results = sub(together, from)
  local sizes, _, at = sizes_of(results, #ids)
  for i = 1, #ids do
    if ids[i] == id then return ms, sub(results, at, at + sizes[i] - 1) end
    at = at + sizes[i]
  end
end

-- Wakes idle sessions: at most one token a job and one a session. A token says to how many of them
-- it may be passed on: the one that pops it may not be able to do the job.
local function wake_some(keys, idle, jobs)
  if idle <= 0 or jobs <= 0 then return end
  local room = math.min(idle, MAX_WAKE) - redis.call('LLEN', keys[WAKE])
  local tokens = {}
  for i = 1, math.min(jobs, room) do tokens[i] = int(idle) end
  call_all('RPUSH', keys[WAKE], tokens)
end

local function wake(s, jobs) wake_some(s.keys, lane_of(s).idle, jobs) end

-- Wakes one idle session when a job is due before the one that waits for the next knows it.
local function remind(s)
  if not s.soonest or lane_of(s).idle <= 0 then return end
  local known = string.match(get(s, 'timer') or '', '|(%d+)$')
  if not known or tonumber(known) > s.soonest then wake(s, 1) end
end

-- Reads the next due time anew after something has left the ZSET.
local function set_due(s)
  local first = redis.call('ZRANGE', s.keys[Z], 0, 0, 'WITHSCORES')[2]
  local due = tonumber(first or nil) or 0
  if s.soonest and (due == 0 or s.soonest < due) then due = s.soonest end
  lane_of(s).due = due
end

-- What is due becomes ready; returns how many jobs. O(limit · log n).
local function promote(s, limit)
  local due = lane_of(s).due
  if due == 0 or due > s.now then return 0 end
  local list = redis.call('ZRANGEBYSCORE', s.keys[Z], '-inf', int(s.now), 'LIMIT', 0, limit)
  local moved = 0
  if #list > 0 then redis.call('ZREM', s.keys[Z], unpack(list)) end
  for i = 1, #list do
    local name = sub(list[i], 2)
    if byte(list[i]) == 102 then
      local flow = flow_of(s, name)
      if flow.paused == 0 then unpark(s, flow) end
    else
      local job = job_of(name, redis.call('HGET', s.keys[JOB], name))
      local class = class_of(s, job.class)
      class.delayed = class.delayed - 1
      to_ready(s, job, false)
      moved = moved + 1
    end
  end
  set_due(s)
  return moved
end
