-- Part 3 of lane2: ends of jobs, wake-ups, sessions and what they hold.
-- ---- Ends ----------------------------------------------------------------------------------------
-- What the event says of a job that ended: id, its bytes, "r", its result or its error
-- (common/queue/job_codec.h reads it).
local function tell(s, id, class, text, outcome)
  local events = s.events
  local n = #events
  events[n + 1], events[n + 2], events[n + 3], events[n + 4] = id, text, 'r', outcome
  s.told[class] = class_of(s, class).name
end

local function forget_dead(s, id, job)
  local class = class_of(s, job.class)
  class.dead = class.dead - 1
  s.forget[#s.forget + 1] = id
  set(s, 'e' .. id, false)
  set(s, 'n' .. id, false)
  add(s, 'forgot', 1)
end

-- The job is dead. Who calls has taken it off its queue or its holder. `job` is reopened.
local function to_dead(s, job, err)
  job.dead = true
  save_job(s, job)
  set(s, 'e' .. job.id, err)
  redis.call('ZADD', s.keys[DEAD], s.now, job.id)
  class_of(s, job.class).dead = class_of(s, job.class).dead + 1
  add(s, 'live', -1)
  tell(s, job.id, job.class, job.text, err)
  if redis.call('ZCARD', s.keys[DEAD]) > number(s, 'keep') then
    local oldest = redis.call('ZPOPMIN', s.keys[DEAD])[1]
    local old = oldest ~= job.id and read_job(s, oldest)
    if old and old.dead then forget_dead(s, oldest, old) end
  end
end

-- Forgets the done jobs of one element of the list.
local function forget_element(s, element)
  local before = #s.forget
  local n = lines(element .. '\n', find(element, '|', 1, true) + 1, s.forget, before) - before
  add(s, 'ended', -n)
  add(s, 'forgot', n)
end

-- Done jobs past the number to keep, by whole elements, which have at most MAX_BATCH.
local function forget_over(s)
  if number(s, 'ended') < number(s, 'keep') + MAX_BATCH then return end
  local element = redis.call('LPOP', s.keys[DONE])
  if element then forget_element(s, element) end
end

local function forget_old(s)
  for _ = 1, MAX_BATCH do
    local element = redis.call('LINDEX', s.keys[DONE], 0)
    if not element then return end
    if tonumber(string.match(element, '^%d+')) + number(s, 'age') > s.now then return end
    redis.call('LPOP', s.keys[DONE])
    forget_element(s, element)
  end
end

-- Wakes idle sessions: at most one token a job and one a session. A token says to how many of them
-- it may be passed on: the one that pops it may not be able to do the job.
local function wake(s, jobs)
  local idle = number(s, 'idle')
  if idle <= 0 or jobs <= 0 then return end
  local room = math.min(idle, MAX_WAKE) - redis.call('LLEN', s.keys[WAKE])
  local tokens = {}
  for i = 1, math.min(jobs, room) do tokens[i] = int(idle) end
  call_all('RPUSH', s.keys[WAKE], tokens)
end

-- Wakes one idle session when a job is due before the one that waits for the next knows it.
local function remind(s)
  if not s.soonest or number(s, 'idle') <= 0 then return end
  local known = string.match(get(s, 'timer') or '', '|(%d+)$')
  if not known or tonumber(known) > s.soonest then wake(s, 1) end
end

-- The earliest due time, or nil.
local function next_due(s)
  local first = redis.call('ZRANGE', s.keys[Z], 0, 0, 'WITHSCORES')
  return tonumber(first[2] or nil), first[1]
end

-- What is due becomes ready; returns how many jobs, and when the next is due. O(limit · log n).
local function promote(s, limit)
  local due = next_due(s)
  if not due or due > s.now then return 0, due end
  local list = redis.call('ZRANGEBYSCORE', s.keys[Z], '-inf', int(s.now), 'LIMIT', 0, limit)
  redis.call('ZREM', s.keys[Z], unpack(list))
  local moved = 0
  for _, entry in ipairs(list) do
    if byte(entry) == 10 then
      local flow = flow_of(s, sub(entry, 2))
      if flow.paused == 0 then unpark(s, flow) end
    else
      local job = read_job(s, (split(entry)))
      if fresh(job, entry) then
        class_of(s, job.class).delayed = class_of(s, job.class).delayed - 1
        job.priority = priority_of(job)
        to_ready(s, job, false)
        moved = moved + 1
      end
    end
  end
  return moved, (next_due(s))
end

-- ---- Sessions ------------------------------------------------------------------------------------
local function session_of(s, id)
  local text = get(s, 's' .. id)
  if not text then return nil end
  local session = {id = id, grants = {}}
  local expiry, idle, drain, noted, held, grants =
    string.match(text, '^(%d+)|(%d)|(%d)|(%d)|(%d+)|(.*)$')
  session.expiry, session.held = tonumber(expiry), tonumber(held)
  session.idle, session.drain, session.noted = idle == '1', drain == '1', noted == '1'
  for grant in string.gmatch(grants, '[^ ]+') do session.grants[#session.grants + 1] = grant end
  return session
end

local function save_session(s, session)
  if session.held == 0 then session.noted = false end
  set(s, 's' .. session.id, table.concat({int(session.expiry), session.idle and 1 or 0,
    session.drain and 1 or 0, session.noted and 1 or 0, int(session.held),
    table.concat(session.grants, ' ')}, '|'))
end

-- The grant of that name when it is the session's: its entries, '' where one was given back.
local function grant_of(s, session, name, grants)
  if grants[name] then return grants[name] end
  local text = get(s, 'h' .. name)
  if not text then return nil end
  local at = find(text, '\n', 1, true)
  if sub(text, 1, at - 1) ~= session then return nil end
  local entries = {}
  local left = lines(text, at + 1, entries, 0)
  -- What was given back left an empty line.
  if find(text, '\n\n', at, true) then
    left = 0
    for _, entry in ipairs(entries) do
      if entry ~= '' then left = left + 1 end
    end
  end
  local grant = {name = name, entries = entries, left = left}
  grants[name] = grant
  return grant
end

-- Writes the session's changed grants and drops the empty ones.
local function save_grants(s, session, grants)
  local kept = {}
  for _, name in ipairs(session.grants) do
    local grant = grants[name]
    if not grant or grant.left > 0 then kept[#kept + 1] = name end
    if grant and grant.left == 0 then
      set(s, 'h' .. name, false)
    elseif grant and grant.changed then
      set(s, 'h' .. name, session.id .. '\n' .. table.concat(grant.entries, '\n') .. '\n')
    end
  end
  session.grants = kept
end

-- Grant, index and entry of a token; nil when it is not (any more) the session's.
local function place_of(s, session, token, grants)
  local name, i = string.match(token, '^(%x+)-(%d+)$')
  local grant = name and grant_of(s, session.id, name, grants)
  local entry = grant and grant.entries[tonumber(i)]
  if not entry or entry == '' then return nil end
  return {grant = grant, i = tonumber(i), entry = entry, id = (split(entry))}
end

-- Takes an entry off its holder; returns its job when it was live.
local function release(s, session, place, jobs)
  place.grant.entries[place.i], place.grant.changed = '', true
  place.grant.left = place.grant.left - 1
  session.held = session.held - 1
  local job = jobs[place.id]
  if not fresh(job, place.entry) then
    add(s, 'gone', -1)
    drop(s, place.id)
    return nil
  end
  class_of(s, job.class).leased = class_of(s, job.class).leased - 1
  released(s, job.flow, 1)
  return job
end

-- Jobs by id, of the ids that are the keys of `wanted`.
local function read_jobs(s, wanted)
  local ids, jobs = {}, {}
  for id in pairs(wanted) do ids[#ids + 1] = id end
  for at = 1, #ids, 4000 do
    local to = math.min(#ids, at + 3999)
    local texts = redis.call('HMGET', s.keys[JOB], unpack(ids, at, to))
    for i = at, to do jobs[ids[i]] = job_of(ids[i], texts[i - at + 1]) end
  end
  return jobs
end
