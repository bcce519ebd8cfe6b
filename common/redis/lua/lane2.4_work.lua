-- Part 4 of lane2: enqueue and tick.
-- ---- Functions -----------------------------------------------------------------------------------
-- What the bytes of a new job without priority and deadline begin with.
local function plain_header(class, flow)
  return pack(HEADER, 'w', class, 0, 0, 0, FIRST_GENERATION, #flow) .. flow
end

-- Reads the groups of an enqueue (see there). Nil when anything is wrong.
local function parse_groups(argv)
  local groups, ids, at = {}, {}, 3
  while at <= #argv do
    local group = {class = argv[at], flow = argv[at + 1], from = at + 3, orders = {}, new = {}, generations = {}}
    local count, ordered = string.match(argv[at + 2] or '', '^(%d+)(o?)$')
    local n, width = tonumber(count or nil), ordered == 'o' and 3 or 2
    if not n or n < 1 or at + 2 + width * n > #argv then return nil end
    group.width = width
    if group.class == '' or group.flow == '' or #group.flow > 255 or find(group.flow, '[|\n]') then
      return nil
    end
    group.guess = width == 2 and byte(argv[at + 4] or '', 2)
    local head = plain_header(group.guess or 0, group.flow)
    for from = group.from, group.from + width * (n - 1), width do
      local id, order = argv[from], width == 3 and argv[from + 2] or ''
      if id == '' or #id > 255 or find(id, '|', 1, true) or find(id, '\n', 1, true) then return nil end
      ids[#ids + 1] = id
      if width == 2 then
        if find(argv[from + 1], head, 1, true) ~= 1 then return nil end
      elseif order ~= '' then
        local priority, deadline, start = string.match(order, '^(-?%d+)|(%d+)|(%d+)$')
        priority, deadline, start = tonumber(priority or nil), tonumber(deadline or nil),
          tonumber(start or nil)
        if not priority or math.abs(priority) > 1000 or deadline >= 2 ^ 47 or start >= 2 ^ 47 then
          return nil
        end
        group.orders[from] = {priority = priority, deadline = deadline, start = start}
      end
    end
    at = group.from + width * n
    group.last = at - width
    groups[#groups + 1] = group
  end
  if #ids < 1 or #ids > MAX_ENQUEUE then return nil end
  return groups, ids
end

-- Finds the jobs of the groups that are not there yet in any state; returns '1' for each of them,
-- else '0', and how many they are.
local function new_jobs(s, groups, ids)
  local known, added, seen, at, total = redis.call('HMGET', s.keys[JOB], unpack(ids)), {}, {}, 0, 0
  for _, group in ipairs(groups) do
    for from = group.from, group.last, group.width do
      at = at + 1
      local id = ids[at]
      if known[at] or seen[id] then
        added[at] = '0'
      else
        seen[id] = true
        added[at] = '1'
        total = total + 1
        group.new[#group.new + 1] = from
      end
    end
  end
  return table.concat(added), total
end

-- The generations that new jobs must have whose ids still have stale entries.
local function find_left(s, argv, groups)
  if number(s, 'left') == 0 then return end
  local fields = {}
  for _, group in ipairs(groups) do
    for _, from in ipairs(group.new) do fields[#fields + 1] = 'x' .. argv[from] end
  end
  load(s, fields)
  for _, group in ipairs(groups) do
    for _, from in ipairs(group.new) do
      local generation = string.match(get(s, 'x' .. argv[from]) or '', '|(%d+)$')
      group.generations[from] = generation and tonumber(generation)
    end
  end
end

local function put_group(s, argv, group)
  local flow = flow_of(s, group.flow)
  local runs, run, priority, now_ready, delayed = {}, nil, nil, 0, 0
  local plain, packed = plain_header(group.number, group.flow), group.width == 2
  local jobs, puts, orders = s.jobs, #s.jobs, group.orders
  for _, from in ipairs(group.new) do
    local id, order, generation = argv[from], orders[from], group.generations[from]
    local entry = id
    if generation then
      order = order or {priority = 0, deadline = 0, start = 0}
      entry = char(generation) .. '|' .. id
    end
    local job_priority = order and order.priority or 0
    if packed and not generation then
      local bytes = argv[from + 1]
      if group.guess ~= group.number then
        bytes, group.renumbered = plain .. sub(bytes, #plain + 1), true
      end
      jobs[puts + 1], jobs[puts + 2] = id, bytes
      puts = puts + 2
    elseif not generation and (not order or order.priority == 0 and order.deadline == 0) then
      jobs[puts + 1], jobs[puts + 2] = id, plain .. argv[from + 1]
      puts = puts + 2
    else
      order.id, order.class, order.flow = id, group.number, group.flow
      order.record = packed and sub(argv[from + 1], #plain + 1) or argv[from + 1]
      order.attempts, order.crashes, order.generation = 0, 0, generation or FIRST_GENERATION
      save_job(s, order)
      puts = puts + 2
    end
    if order and order.start > s.now then
      delayed = delayed + 1
      delay(s, order.start, entry)
    elseif order and order.deadline > 0 then
      to_ready(s, order, false)
    else
      if job_priority ~= priority then
        run, priority = {}, job_priority
        runs[#runs + 1] = {priority = priority, entries = run}
      end
      now_ready = now_ready + 1
      run[#run + 1] = entry
    end
  end
  for _, one in ipairs(runs) do
    append(s, queue_of(s, group.number, group.flow), one.priority, one.entries)
  end
  local class = class_of(s, group.number)
  class.ready, class.delayed = class.ready + now_ready, class.delayed + delayed
  flow.waiting = flow.waiting + #group.new
  s.ready = s.ready + now_ready
end

-- enqueue: adds the jobs that are not there in any state; all of them or, with an error, none.
-- ARGV from 3: groups of class, flow, "<n>", then n times job, its bytes (a class number that is
-- wrong, but the same in all, is put right); or "<n>o", then n times job, record, "" or
-- "<priority -1000…1000>|<deadline ms or 0>|<start ms or 0>". At most 1,000 jobs.
-- Returns {OK, now, 0, "1" (added) or "0" (was there) for each job, {class number, name, …} of the
-- classes whose number was wrong}. Codes: FULL (too many jobs that
-- have not ended, or classes), BACKLOG (with the flow that has too many waiting jobs), INVALID.
-- Refused by Redis itself at maxmemory. O(jobs).
local function enqueue(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  local groups, ids = parse_groups(argv)
  if not groups then return {'INVALID', now, 0} end
  local s = begin(keys, now)
  local added, total = new_jobs(s, groups, ids)
  if total == 0 then return {'OK', now, 0, added, {}} end
  local fields = {'lane'}
  for _, group in ipairs(groups) do
    fields[#fields + 1] = 'k' .. group.class
    fields[#fields + 1] = 'f' .. group.flow
  end
  load(s, fields)
  if number(s, 'live') + total > MAX_LIVE then return {'FULL', now, 0} end
  local waiting = {}
  for _, group in ipairs(groups) do
    local flow = flow_of(s, group.flow)
    waiting[group.flow] = (waiting[group.flow] or flow.waiting) + #group.new
    if flow.backlog > 0 and waiting[group.flow] > flow.backlog then
      return {'BACKLOG', now, 0, group.flow}
    end
  end
  fields = {}
  for _, group in ipairs(groups) do
    if #group.new > 0 then
      group.number = class_named(s, group.class)
      if not group.number then return {'FULL', now, 0} end
      fields[#fields + 1] = 'c' .. group.number
      fields[#fields + 1] = 'g' .. group.number .. '|' .. group.flow
    end
  end
  load(s, fields)
  find_left(s, argv, groups)
  local renumbered = {}
  for _, group in ipairs(groups) do
    if group.number then put_group(s, argv, group) end
    if group.renumbered then
      renumbered[#renumbered + 1], renumbered[#renumbered + 2] = group.number, group.class
    end
  end
  add(s, 'live', total)
  flush(s)
  wake(s, s.ready)
  remind(s)
  return {'OK', now, 0, added, renumbered}
end

-- Reads the lists of a tick: each is a count and then that many groups of `width` arguments.
local function take(argv, at, width, most)
  local n = tonumber(argv[at] or nil)
  if not n or n < 0 or n > most or at + n * width > #argv then return nil, at end
  local groups = {}
  for i = 1, n do
    local group = {}
    for j = 1, width do group[j] = argv[at + (i - 1) * width + j] end
    groups[i] = group
  end
  return groups, at + n * width + 1
end

-- The acks: how many grants, then for each its name, the indices ("1,2" or "1-100") and as many
-- results.
local function take_acks(argv, at)
  local n, total, acks = tonumber(argv[at] or nil), 0, {}
  if not n or n < 0 or n > MAX_BATCH then return nil, at end
  at = at + 1
  for i = 1, n do
    local indices, count = {}, 0
    if not argv[at + 1] or not find(argv[at], '^%x+$') then return nil, at end
    for first, last in string.gmatch(argv[at + 1], '(%d+)%-?(%d*)') do
      first = tonumber(first)
      last = tonumber(last) or first
      if last - first >= MAX_BATCH or count > MAX_BATCH then return nil, at end
      for index = first, last do
        count = count + 1
        indices[count] = index
      end
    end
    total = total + count
    acks[i] = {grant = argv[at], indices = indices, results = at + 1}
    at = at + 2 + count
    if total > MAX_BATCH or at > #argv + 1 then return nil, at end
  end
  return acks, at
end

local function parse_tick(argv)
  local tick = {session = argv[3], description = argv[4], grant = argv[5]}
  local new, ttl, want, hops = string.match(argv[6] or '', '^([01])|(%d+)|(%d+)|(%d+)$')
  if not new then return nil end
  tick.new, tick.ttl, tick.want, tick.hops = new == '1', tonumber(ttl), tonumber(want), tonumber(hops)
  local at = 7
  tick.classes, at = take(argv, at, 1, MAX_CLASSES)
  if tick.classes then tick.acks, at = take_acks(argv, at) end
  if tick.acks then tick.nacks, at = take(argv, at, 4, MAX_BATCH) end
  if tick.nacks then tick.notes, at = take(argv, at, 2, MAX_BATCH) end
  if not tick.notes or tick.ttl <= 0 or tick.want > MAX_BATCH then return nil end
  if not find(tick.grant, '^%x+$') then return nil end
  if tick.session == '' or find(tick.session, '[| \n]') then return nil end
  for _, one in ipairs(tick.nacks) do
    one[3] = tonumber(one[3])
    if not one[3] or one[3] < 0 or one[3] > 1 then return nil end
  end
  return tick
end

local function nack(s, job, preempted, jitter, err)
  reopen(job)
  if preempted then
    save_job(s, job)
    to_ready(s, job, true)
  else
    job.attempts = job.attempts + 1
    if job.attempts >= MAX_ATTEMPTS then return to_dead(s, job, err) end
    local bound = math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ^ (job.attempts - 1))
    save_job(s, job)
    set(s, 'e' .. job.id, err)
    delay(s, s.now + math.floor(bound * jitter), entry_of(job))
    local class = class_of(s, job.class)
    class.delayed = class.delayed + 1
  end
  local flow = flow_of(s, job.flow)
  flow.waiting = flow.waiting + 1
end

-- Whether an entry of that generation (nil for the first) names the job of these bytes.
local function named(text, generation)
  local mark, _, _, _, _, _, of = byte(text, 1, 7)
  return (mark == LIVE or mark == LIVE_DATED) and of == (generation or FIRST_GENERATION)
end

-- Takes the acked entries off their grants: ids, generations (nil for the first) and results, and
-- for each ack the last of its own. Names the tokens that are not the session's.
local function take_acked(s, argv, request, session, grants, lost)
  local ids, generations, results, places, n = {}, {}, {}, {}, 0
  for _, one in ipairs(request.acks) do
    local first, grant = one.results, grant_of(s, session.id, one.grant, grants)
    local entries, taken = grant and grant.entries or {}, 0
    for at, i in ipairs(one.indices) do
      local entry = entries[i]
      if entry and entry ~= '' then
        n = n + 1
        if byte(entry, 2) == 124 then
          ids[n], generations[n] = sub(entry, 3), byte(entry)
        else
          ids[n] = entry
        end
        results[n], places[n] = argv[first + at], i
        entries[i] = ''
        taken = taken + 1
      else
        lost[#lost + 1] = one.grant .. '-' .. int(i)
      end
    end
    one.upto = n
    if taken > 0 then grant.left, grant.changed = grant.left - taken, true end
  end
  session.held = session.held - n
  return ids, generations, results, places
end

-- Counts n jobs of a class and flow that ended.
local function settle_run(s, n, class, flow)
  if n == 0 then return end
  local of = class_of(s, class)
  of.leased, of.done = of.leased - n, of.done + n
  s.told[class] = of.name
  released(s, flow, n)
end

-- Ends the jobs of acks that are live, and names the tokens that are not. The hottest loop there is:
-- once a job, so it keeps to locals and flat arrays.
local function settle_acks(s, argv, request, session, grants, lost)
  if #request.acks == 0 then return end
  local ids, generations, results, places = take_acked(s, argv, request, session, grants, lost)
  if #ids == 0 then return end
  local texts = redis.call('HMGET', s.keys[JOB], unpack(ids))
  local done, ended, most, mark = {}, 0, number(s, 'bytes'), pack('>c1I6', 'd', s.now)
  local jobs, puts, events, said = s.jobs, #s.jobs, s.events, #s.events
  -- Neighbours with the same header and flow, which is the rule, are counted together.
  local run, head, run_class, run_flow = 0, nil, nil, nil
  for at = 1, #ids do
    local id, text, result = ids[at], texts[at], results[at]
    local live = text and head and not generations[at] and find(text, head, 1, true) == 1
    if not live and text and named(text, generations[at]) then
      local kind, class, _, _, attempts, _, _, length = byte(text, 1, 8)
      local from = kind == LIVE and 9 or 15
      settle_run(s, run, run_class, run_flow)
      run, run_class, run_flow, live = 0, class, sub(text, from, from + length - 1), true
      head = kind == LIVE and attempts == 0 and not generations[at] and sub(text, 1, 8 + length)
      if attempts > 0 then set(s, 'e' .. id, false) end
    end
    if live then
      run, ended = run + 1, ended + 1
      done[ended] = id
      jobs[puts + 1], jobs[puts + 2] = id, #result <= most and mark .. result or mark
      puts = puts + 2
      -- As tell() does.
      events[said + 1], events[said + 2], events[said + 3], events[said + 4] = id, text, 'r', result
      said = said + 4
      if session.noted then set(s, 'n' .. id, false) end
    else
      add(s, 'gone', -1)
      drop(s, id)
      local owner = 1
      while request.acks[owner].upto < at do owner = owner + 1 end
      lost[#lost + 1] = request.acks[owner].grant .. '-' .. int(places[at])
    end
  end
  if ended == 0 then return end
  settle_run(s, run, run_class, run_flow)
  s.ended[#s.ended + 1] = int(s.now) .. '|' .. table.concat(done, '\n')
  add(s, 'live', -ended)
  add(s, 'ended', ended)
  forget_over(s)
end

-- Notes, acks and nacks of a tick; returns the tokens that were not live.
local function settle(s, argv, request, session, grants)
  local lost, places, wanted = {}, {}, {}
  for _, list in ipairs({request.notes, request.nacks}) do
    for _, one in ipairs(list) do
      local place = place_of(s, session, one[1], grants)
      places[one] = place
      if place then wanted[place.id] = true end
    end
  end
  local jobs = next(wanted) and read_jobs(s, wanted) or {}
  for _, one in ipairs(request.notes) do
    local place = places[one]
    if place and fresh(jobs[place.id], place.entry) then
      set(s, 'n' .. place.id, one[2])
      session.noted = true
    else
      lost[#lost + 1] = one[1]
    end
  end
  settle_acks(s, argv, request, session, grants, lost)
  for _, one in ipairs(request.nacks) do
    local place = places[one]
    local job = place and place.grant.entries[place.i] ~= '' and release(s, session, place, jobs)
    if job then
      nack(s, job, one[2] == '1', one[3], one[4])
    else
      lost[#lost + 1] = one[1]
    end
  end
  return lost
end

-- Tokens of the session whose job is not its any more. Only when some entry somewhere is stale.
local function stale_tokens(s, session, grants)
  local tokens, wanted, fields = {}, {}, {}
  if number(s, 'gone') == 0 then return tokens end
  for i, name in ipairs(session.grants) do fields[i] = 'h' .. name end
  load(s, fields)
  for _, name in ipairs(session.grants) do
    local grant = grant_of(s, session.id, name, grants)
    for _, entry in ipairs(grant and grant.entries or {}) do
      if entry ~= '' then wanted[split(entry)] = true end
    end
  end
  local jobs = read_jobs(s, wanted)
  for _, name in ipairs(session.grants) do
    for i, entry in ipairs(grants[name] and grants[name].entries or {}) do
      if entry ~= '' and not fresh(jobs[split(entry)], entry) then
        tokens[#tokens + 1] = name .. '-' .. i
      end
    end
  end
  return tokens
end

-- Leases up to `want` jobs as one grant. Returns {job, its bytes, …} in order of the token's index,
-- and their classes {number, name, …}.
local function lease(s, session, grant, classes, want)
  local leases, entries, kept, names, said = {}, {}, 0, {}, {}
  flush_jobs(s)  -- What this call gave back may be leased again at once, under its new generation.
  while kept < want do
    local got, turns = choose(s, classes, want - kept)
    if #got == 0 then break end
    local ids, generations = {}, {}
    for i = 1, #got do
      local entry = got[i]
      if byte(entry, 2) == 124 then
        ids[i], generations[i] = sub(entry, 3), byte(entry)
      else
        ids[i] = entry
      end
    end
    local texts, i, sure = redis.call('HMGET', s.keys[JOB], unpack(ids)), 1, number(s, 'left') == 0
    for _, turn in ipairs(turns) do
      local class = class_of(s, turn.queue.class)
      if not said[class.n] then
        said[class.n] = true
        names[#names + 1], names[#names + 2] = class.n, class.name
      end
      while i <= turn.upto do
        local text = texts[i]
        if text and (sure or named(text, generations[i])) then
          kept = kept + 1
          entries[kept] = got[i]
          leases[2 * kept - 1], leases[2 * kept] = ids[i], text
        else
          -- Cancelled while it waited, and counted then.
          local flow = flow_of(s, turn.queue.flow)
          flow.leased, flow.waiting = flow.leased - 1, flow.waiting + 1
          class.leased, class.ready = class.leased - 1, class.ready + 1
          drop(s, ids[i])
        end
        i = i + 1
      end
    end
  end
  if kept > 0 then
    set(s, 'h' .. grant, session.id .. '\n' .. table.concat(entries, '\n') .. '\n')
    session.grants[#session.grants + 1] = grant
    session.held = session.held + kept
  end
  return leases, names
end

-- The same tick again, its reply was lost: what it leased then, if it still holds that.
local function lease_again(s, session, grants, name)
  local grant, leases, names, said = grant_of(s, session.id, name, grants), {}, {}, {}
  if not grant then return nil end
  for i, entry in ipairs(grant.entries) do
    local id = split(entry)
    local text = entry ~= '' and redis.call('HGET', s.keys[JOB], id) or ''
    leases[2 * i - 1], leases[2 * i] = id, text
    local n = byte(text, 2)
    if n and byte(text) ~= ENDED and not said[n] then
      said[n] = true
      names[#names + 1], names[#names + 2] = n, class_of(s, n).name
    end
  end
  return leases, names
end

-- One waiting session is told when the next job is due, so that it comes by itself: not all of them.
local function timer_of(s, session, due)
  if not session.idle or not due then return 0 end
  local keeper, until_ms = string.match(get(s, 'timer') or '', '^(.*)|(%d+)$')
  local mine = keeper == session.id
  until_ms = tonumber(until_ms or nil)
  if keeper and not mine and until_ms <= due and until_ms + 1000 > s.now then return 0 end
  set(s, 'timer', session.id .. '|' .. int(due))
  return due
end

-- A woken session that can do nothing passes its token on when there is work of other classes.
local function pass_on(s, hops, classes)
  local fields, other = {}, 0
  for n = 1, number(s, 'classes') do fields[n] = 'c' .. n end
  load(s, fields)
  for n = 1, #fields do other = other + class_of(s, n).ready end
  for _, n in ipairs(classes) do other = other - class_of(s, n).ready end
  if other > 0 then redis.call('RPUSH', s.keys[WAKE], int(hops - 1)) end
end

-- tick: heartbeat, notes, acks, nacks and lease of a session in one call.
-- ARGV 3 session, 4 description ("" to leave it), 5 a grant: random hex digits, new in each call,
-- 6 "<1 if the session may be new>|<lease ms>|<jobs wanted>|<value of the wake token that caused this
-- call, or 0>", then four lists, each its length and its items: classes; acks by grant (grant,
-- "<index>,…" or "<first>-<last>", JobResult bytes for each index); nacks (token, "1" if preempted, jitter in [0, 1],
-- error); notes (token, text).
-- Acks, nacks and notes of tokens that are not live change nothing. A repeated call (same grant)
-- answers with what its first execution leased.
-- Returns {OK, now, seq of the last event or 0, drain 0 | 1, cancelled tokens, lost tokens,
-- leases {job, its bytes, …}: the i-th has the token "<grant>-<i>", {class number, name, …},
-- classes there are, due ms of the next delayed job for the one session that shall wait for it or
-- 0}. Codes: FENCED (the session has expired or is unknown), FULL (too many sessions), INVALID.
-- allow-oom: a full Redis is emptied through it.
-- O(batch + want + flows served + stale entries).
local function tick(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  local request = parse_tick(argv)
  if not request then return {'INVALID', now, 0} end
  local s, grants = begin(keys, now), {}
  local fields = {'lane', 's' .. request.session, 'h' .. request.grant}
  for _, one in ipairs(request.classes) do fields[#fields + 1] = 'k' .. one[1] end
  for _, one in ipairs(request.acks) do fields[#fields + 1] = 'h' .. one.grant end
  load(s, fields)
  local session = session_of(s, request.session)
  if session and session.expiry <= now or not session and not request.new then
    return {'FENCED', now, 0}
  end
  if not session then
    if redis.call('ZCARD', keys[SES]) >= MAX_SESSIONS then return {'FULL', now, 0} end
    session = {id = request.session, grants = {}, held = 0}
  end
  local leases, names
  if get(s, 'h' .. request.grant) then
    leases, names = lease_again(s, session, grants, request.grant)
    if not leases then return {'INVALID', now, 0} end
  end

  session.expiry = now + request.ttl
  redis.call('ZADD', keys[SES], int(session.expiry), session.id)
  if request.description ~= '' then set(s, 'd' .. session.id, request.description) end
  local lost = settle(s, argv, request, session, grants)
  local cancelled = stale_tokens(s, session, grants)
  save_grants(s, session, grants)
  local drain = session.drain or number(s, 'drain') == 1
  local _, due = promote(s, PROMOTE)
  local classes = {}
  for _, one in ipairs(request.classes) do
    local n = tonumber(get(s, 'k' .. one[1]) or nil)
    if n then classes[#classes + 1] = n end
  end
  local want = math.min(request.want, MAX_HELD - session.held)
  if not leases then
    leases, names = {}, {}
    if want > 0 and not drain and #session.grants < MAX_GRANTS then
      for i, n in ipairs(classes) do fields[i] = 'c' .. n end
      load(s, fields)
      leases, names = lease(s, session, request.grant, classes, want)
    end
  end
  local was_idle = session.idle or false
  session.idle = request.want > 0 and #leases == 0 and not drain
  if was_idle ~= session.idle then add(s, 'idle', session.idle and 1 or -1) end
  if s.soonest then due = math.min(due or s.soonest, s.soonest) end
  local wait_for = timer_of(s, session, due)
  save_session(s, session)
  if request.hops > 1 and session.idle then pass_on(s, request.hops, classes) end
  local seq = flush(s)
  wake(s, s.ready - #leases / 2)
  remind(s)
  return {'OK', now, seq, drain and 1 or 0, cancelled, lost, leases, names, number(s, 'classes'),
          wait_for}
end
