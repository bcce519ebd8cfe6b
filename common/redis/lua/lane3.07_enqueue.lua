-- Part 7 of lane3: enqueue.
-- ---- Enqueue -------------------------------------------------------------------------------------
-- A library may have 200 locals: those of a block do not count outside it.
local enqueue
do
-- Reads n orders from argv[at]: id, record, order each.
local function parse_orders(argv, at, n, group, ids)
  group.orders = {}
  for i = 1, n do
    local from = at + 3 * (i - 1)
    local id, text, order = argv[from], argv[from + 2], {priority = 0, deadline = 0, start = 0}
    if id == '' or #id > 255 or #argv[from + 1] >= 2 ^ 23 then return false end
    if text ~= '' then
      local priority, deadline, start = string.match(text, '^(-?%d+)|(%d+)|(%d+)$')
      priority, deadline, start = tonumber(priority or nil), tonumber(deadline or nil), tonumber(start or nil)
      if not priority or math.abs(priority) > 1000 or deadline >= 2 ^ 47 or start >= 2 ^ 47 then
        return false
      end
      order = {priority = priority, deadline = deadline, start = start}
    end
    order.id, order.record = id, argv[from + 1]
    group.orders[i] = order
    ids[#ids + 1] = id
  end
  return true
end

-- Reads n texts of entries from argv[at]: all begin as a new job without an order does.
local function parse_entries(argv, at, n, group, ids)
  local head = pack(HEADER, 'w', group.guess, 0, 0, 0, 48, #group.flow) .. group.flow
  local most, count = #head, #ids
  group.texts, group.counts = {}, {}
  for i = 1, n do
    local text, from, before = argv[at + i - 1], 1, count
    local length = #text
    while from <= length do
      local id, size, body = unpack_struct(ENTRY, text, from)
      if size < most or id == '' or find(text, head, body, true) ~= body then return false end
      count = count + 1
      ids[count] = id
      from = body + size
    end
    if from ~= length + 1 or count == before or count - before > CHUNK then return false end
    group.texts[i], group.counts[i] = text, count - before
  end
  return true
end

local function good_flow(name) return name ~= '' and #name <= 255 and not find(name, '[|\n]') end

-- Reads the groups of an enqueue (see there), the ids of their jobs, and whether any have orders. Nil
-- when anything is wrong.
local function parse_groups(argv)
  local groups, ids, at, any = {}, {}, 3, false
  while at <= #argv do
    local group = {class = argv[at], flow = argv[at + 1], guess = whole(argv[at + 2], 255),
                   from = #ids + 1}
    local count, ordered = string.match(argv[at + 3] or '', '^(%d+)(o?)$')
    local n, width = tonumber(count or nil), ordered == 'o' and 3 or 1
    if not n or n < 1 or n > MAX_ENQUEUE or at + 3 + width * n > #argv then return nil end
    local kind = string.match(group.class, '^[^ %c|]+')
    if not group.guess or not kind or #kind > 255 or find(group.class, '[%c|]') or
       not good_flow(group.flow) then
      return nil
    end
    any = any or width == 3
    local parse = width == 3 and parse_orders or parse_entries
    if not parse(argv, at + 4, n, group, ids) then return nil end
    group.upto, group.new = #ids, #ids - group.from + 1
    groups[#groups + 1] = group
    at = at + 4 + width * n
  end
  if #ids < 1 or #ids > MAX_ENQUEUE then return nil end
  return groups, ids, any
end

-- Takes the jobs out of a group that are there already.
local function leave_out(group, ids, is_new)
  local orders, texts, counts, at = {}, {}, {}, group.from
  for i = 1, group.orders and #group.orders or 0 do
    if is_new[at] then orders[#orders + 1] = group.orders[i] end
    at = at + 1
  end
  for i = 1, group.texts and #group.texts or 0 do
    local text, from, kept, n = group.texts[i], 1, {}, 0
    for _ = 1, group.counts[i] do
      local behind = step(text, from)
      if is_new[at] then
        n = n + 1
        kept[n] = sub(text, from, behind - 1)
      end
      from, at = behind, at + 1
    end
    if n > 0 then
      texts[#texts + 1], counts[#counts + 1] = table.concat(kept), n
    end
  end
  if group.orders then group.orders = orders else group.texts, group.counts = texts, counts end
  group.ids, group.new = {}, 0
  for i = group.from, group.upto do
    if is_new[i] then
      group.new = group.new + 1
      group.ids[group.new] = ids[i]
    end
  end
end

-- Takes the jobs out of the groups that are there already, as `known` says, or twice; returns "1" for
-- each other, else "0", and how many they are.
local function sift(groups, ids, known)
  local seen, new, added, n = {}, {}, {}, 0
  for i = 1, #ids do
    local id = ids[i]
    added[i] = '0'
    if not known[i] and not seen[id] then
      seen[id], new[i], added[i] = true, true, '1'
      n = n + 1
    end
  end
  if n < #ids then
    for i = 1, #groups do leave_out(groups[i], ids, new) end
  end
  return table.concat(added), n
end

-- Whether none of the ids is there yet.
local function all_new(known)
  for i = 1, #known do
    if known[i] then return false end
  end
  return true
end

-- The same entries of another class.
local function renumbered(text, class)
  local at, parts = 1, {}
  while at <= #text do
    local behind, _, body = step(text, at)
    parts[#parts + 1] = sub(text, at, body) .. char(class) .. sub(text, body + 2, behind - 1)
    at = behind
  end
  return table.concat(parts)
end

local function put_entries(s, group, ids)
  local queue, jobs, puts = queue_of(s, group.number, group.flow), s.jobs, #s.jobs
  local of = group.ids or ids
  local at = group.ids and 1 or group.from
  for i = 1, #group.texts do
    local text, n = group.texts[i], group.counts[i]
    if group.guess ~= group.number then text = renumbered(text, group.number) end
    local hint = append(s, queue, 0, text, n)
    for j = at, at + n - 1 do
      jobs[puts + 1], jobs[puts + 2] = of[j], hint
      puts = puts + 2
    end
    at = at + n
  end
  local class = class_of(s, group.number)
  class.ready = class.ready + group.new
  s.ready = s.ready + group.new
end

local function put_orders(s, group)
  local class = class_of(s, group.number)
  for i = 1, #group.orders do
    local job = group.orders[i]
    job.class, job.flow, job.attempts, job.crashes = group.number, group.flow, 0, 0
    if job.start > s.now then
      save_body(s, job)
      class.delayed = class.delayed + 1
      delay(s, job.start, 'j' .. job.id)
    else
      to_ready(s, job, false)
    end
  end
end

-- Code and detail of what keeps the jobs from coming in; nil when nothing does.
local function refusal(s, groups, total)
  if lane_of(s).live + total > MAX_LIVE then return 'FULL' end
  local waiting = {}
  for i = 1, #groups do
    local group = groups[i]
    local flow = flow_of(s, group.flow)
    waiting[flow] = (waiting[flow] or flow.waiting) + group.new
    if flow.backlog > 0 and group.new > 0 and waiting[flow] > flow.backlog then return 'BACKLOG', group.flow end
  end
  for i = 1, #groups do
    local group = groups[i]
    if group.new > 0 then
      group.number = class_named(s, group.guess, group.class)
      if not group.number then return 'FULL' end
    end
  end
  return nil
end

-- Reads what the groups need of the lane.
local function load_groups(s, groups)
  local fields = {'lane'}
  for i = 1, #groups do
    local group, n = groups[i], #fields
    fields[n + 1], fields[n + 2] = 'f' .. group.flow, 'k' .. group.class
    if group.guess > 0 then
      fields[n + 2], fields[n + 3] = 'c' .. group.guess, 'g' .. group.guess .. '|' .. group.flow
    end
  end
  load(s, fields)
end

-- Puts the jobs of the groups into their queues; nothing is written yet, unless they have orders.
-- Returns the classes whose number was wrong.
local function put_groups(s, groups, ids, total)
  local told = {}
  for i = 1, #groups do
    local group = groups[i]
    if group.new > 0 then
      local flow = flow_of(s, group.flow)
      flow.waiting = flow.waiting + group.new
      if group.orders then put_orders(s, group) else put_entries(s, group, ids) end
      if group.guess ~= group.number then
        told[#told + 1], told[#told + 2] = group.number, group.class
      end
    end
  end
  local lane = lane_of(s)
  lane.live = lane.live + total
  return told
end

-- n entries become the next part of a chain; the fields to be written for that go to `puts`.
local function part_of(lane, chain, entries, n, puts)
  local number, at = chain.next, #puts
  lane.parts = lane.parts + 1
  chain.next = lane.parts
  puts[at + 1], puts[at + 2] = 'q' .. number, entries
  puts[at + 3], puts[at + 4] = 'p' .. number, pack(PART, chain.next, n)
  return number
end

-- Appends an entry to a queue without priorities, as append() does. Returns the value that says where it is.
local function append_one(lane, queue, entry, puts)
  local chain = queue.chains[1]
  if not chain then
    lane.parts = lane.parts + 1
    chain = {priority = 0, first = lane.parts, next = lane.parts, n = 0, dated = 0, tailed = 0, tail = ''}
    queue.chains[1] = chain
  end
  chain.n, queue.n = chain.n + 1, queue.n + 1
  if #chain.tail + #entry > TAIL_BYTES or chain.tailed == CHUNK then
    if chain.tailed > 0 then
      part_of(lane, chain, chain.tail, chain.tailed, puts)
      chain.tail, chain.tailed = '', 0
    end
    if #entry > TAIL_BYTES then return part_hint(part_of(lane, chain, entry, 1, puts)) end
  end
  chain.tail, chain.tailed = chain.tail .. entry, chain.tailed + 1
  return tail_hint(queue, chain)
end

-- One job without an order, of a known class, for a flow without a limit of what waits: the common case
-- when jobs come one by one. It does what the general way does, without tables that can hold many: those
-- cost more than the commands. Nil, and nothing is written, when it is another case.
local function enqueue_one(keys, argv, now)
  local entry, flow_name = argv[7], argv[4]
  if #argv ~= 7 or argv[6] ~= '1' or argv[5] == '0' or #entry < 4 then return nil end
  local id, size, body = unpack_struct(ENTRY, entry)
  if id == '' or body + size ~= #entry + 1 then return nil end
  local st, f, c = keys[ST], 'f' .. flow_name, 'c' .. argv[5]
  local name = argv[5] .. '|' .. flow_name
  local g = 'g' .. name
  local texts = redis.call('HMGET', st, 'lane', c, f, g)
  if not texts[1] or not texts[2] or not texts[4] and not good_flow(flow_name) then return nil end
  local n = tonumber(argv[5])
  local lane, class = read_lane(texts[1]), read_class(n, texts[2])
  local flow = read_flow(flow_name, texts[3])
  local queue = read_queue(name, n, flow_name, texts[4], class.time, now)
  local chain, head = queue.chains[1], pack(HEADER, 'w', n, 0, 0, 0, 48, #flow_name) .. flow_name
  if class.name ~= argv[3] or sub(entry, body, body + #head - 1) ~= head or lane.live >= MAX_LIVE or
     flow.backlog > 0 or flow.parked ~= '' or queue.chains[2] or chain and chain.priority ~= 0 then
    return nil
  end
  local idle, puts = queue.n == 0, {}
  if idle then queue.pass, queue.served = math.max(queue.pass, class.time), now end
  local hint = append_one(lane, queue, entry, puts)
  if redis.call('HSETNX', keys[JOB], id, hint) == 0 then return {'OK', now, 0, '0', {}} end
  lane.live, class.ready, flow.waiting = lane.live + 1, class.ready + 1, flow.waiting + 1
  redis.call('HSET', st, 'lane', lane_text(lane), c, class_text(class), f, flow_text(flow), g,
    queue_text(queue), unpack(puts))
  if idle then redis.call('ZADD', keys[ACT], n * BAND + queue.pass, name) end
  wake_some(keys, lane.idle, 1)
  return {'OK', now, 0, '1', {}}
end

-- enqueue: adds the jobs that are not there in any state; all of them or, with an error, none.
-- ARGV from 3: groups of class, flow, the class's number as far as the caller knows, or 0, then
-- "<n>" and n times entries (part 2) of up to 25 jobs with that number; or "<n>o" and n times job,
-- record, "" or "<priority -1000…1000>|<deadline ms or 0>|<start ms or 0>". At most 1,000 jobs.
-- Returns {OK, now, 0, "1" (added) or "0" (was there) for each job, {class number, name, …} of the
-- classes whose number was wrong}. Codes: FULL (too many jobs that have not ended, or classes),
-- BACKLOG (with the flow that has too many waiting jobs), INVALID.
-- Refused by Redis itself at maxmemory. O(jobs).
function enqueue(keys, argv)
  local now = now_of(argv)
  if fenced(keys, argv) then return {'INCARNATION', now, 0} end
  local one = enqueue_one(keys, argv, now)
  if one then return one end
  local groups, ids, ordered = parse_groups(argv)
  if not groups then return {'INVALID', now, 0} end
  local known, added, total = redis.call('HMGET', keys[JOB], unpack(ids)), nil, #ids
  -- Whether an id comes twice is seen by the count of what is written: looking costs more.
  local plain = not ordered and all_new(known)
  if plain then added = string.rep('1', total) else added, total = sift(groups, ids, known) end
  if total == 0 then return {'OK', now, 0, added, {}} end
  local s = begin(keys, now)
  load_groups(s, groups)
  local code, detail = refusal(s, groups, total)
  local told = not code and put_groups(s, groups, ids, total)
  if plain and (code or flush_jobs(s) < total) then
    -- Once more without those that come twice. What was written names the same ids, and is written
    -- again.
    s, groups = begin(keys, now), parse_groups(argv)
    added, total = sift(groups, ids, {})
    load_groups(s, groups)
    code, detail = refusal(s, groups, total)
    told = not code and put_groups(s, groups, ids, total)
  end
  if code then return {code, now, 0, detail} end
  flush(s)
  wake(s, s.ready)
  remind(s)
  return {'OK', now, 0, added, told}
end

end
