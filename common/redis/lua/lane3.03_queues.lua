-- Part 3 of lane3: queues and what stands in them.
-- ---- Queues --------------------------------------------------------------------------------------
local function chain_of(s, queue, priority)
  local at = #queue.chains + 1
  for i = 1, #queue.chains do
    local chain = queue.chains[i]
    if chain.priority == priority then return chain end
    if chain.priority < priority then
      at = i
      break
    end
  end
  local lane = lane_of(s)
  lane.parts = lane.parts + 1
  local chain = {priority = priority, first = lane.parts, next = lane.parts, n = 0, dated = 0,
                 tailed = 0, tail = ''}
  table.insert(queue.chains, at, chain)
  return chain
end

local function dated_prefix(queue, priority)
  return queue.id .. '|' .. string.format('%04d', 1000 - priority) .. '|'
end

local function dated_member(queue, job)
  return dated_prefix(queue, job.priority) .. string.format('%015.0f', job.deadline) .. '|' .. job.id
end

-- Puts a queue where the lease finds it, at its pass or at the class's time when it was idle.
local function activate(s, queue)
  if queue.n > 0 and not queue.fresh then return end
  if queue.n == 0 then
    queue.pass = math.max(queue.pass, class_of(s, queue.class).time)
    queue.served = s.now
  end
  if not find(flow_of(s, queue.flow).parked, char(queue.class), 1, true) then
    s.act[queue.id] = queue.class * BAND + queue.pass
  end
  queue.fresh, queue.gone = false, false
end

-- The tail of a chain, or entries, become its next part.
local function add_part(s, chain, n, entries)
  local lane, number = lane_of(s), chain.next
  lane.parts = lane.parts + 1
  chain.next = lane.parts
  set(s, 'q' .. number, entries)
  set(s, 'p' .. number, pack(PART, chain.next, n))
  return number
end

local function tail_hint(queue, chain)
  return 't' .. char(queue.class) .. pack('>I5', chain.next) .. queue.flow
end

-- Appends n entries, at most CHUNK, of one priority. Returns the value that says where they are.
local function append(s, queue, priority, entries, n)
  activate(s, queue)
  local chain = chain_of(s, queue, priority)
  chain.n, queue.n = chain.n + n, queue.n + n
  if #chain.tail + #entries > TAIL_BYTES or chain.tailed + n > CHUNK then
    if chain.tailed > 0 then
      add_part(s, chain, chain.tailed, chain.tail)
      chain.tail, chain.tailed = '', 0
    end
    if #entries > TAIL_BYTES then return part_hint(add_part(s, chain, n, entries)) end
  end
  chain.tail, chain.tailed = chain.tail .. entries, chain.tailed + n
  return tail_hint(queue, chain)
end

-- `job` has all its fields; the body it becomes is written.
local function to_ready(s, job, head)
  local queue = queue_of(s, job.class, job.flow)
  job.body = body_of(job)
  if job.deadline > 0 then
    activate(s, queue)
    local chain = chain_of(s, queue, job.priority)
    put_job(s, job.id, job.body)
    redis.call('ZADD', s.keys[DL], 0, dated_member(queue, job))
    chain.dated, queue.n = chain.dated + 1, queue.n + 1
  elseif head then
    activate(s, queue)
    local chain, lane = chain_of(s, queue, job.priority), lane_of(s)
    lane.parts = lane.parts + 1
    set(s, 'q' .. lane.parts, entry_of(job.id, job.body))
    set(s, 'p' .. lane.parts, pack(PART, chain.first, 1))
    chain.first, chain.n, queue.n = lane.parts, chain.n + 1, queue.n + 1
    put_job(s, job.id, part_hint(lane.parts))
  else
    put_job(s, job.id, append(s, queue, job.priority, entry_of(job.id, job.body), 1))
  end
  local class = class_of(s, job.class)
  class.ready = class.ready + 1
  s.ready = s.ready + 1
end

-- Splits n entries off the front of a text: where the rest begins.
local function cut(text, n)
  local at = 1
  for _ = 1, n do
    local _, size, body = unpack_struct(ENTRY, text, at)
    at = body + size
  end
  return at
end

-- Takes up to n entries without deadlines off a chain, in order, and appends them to a list of pieces:
-- {number, n} of a part that went whole, {0, n, text}; returns how many they are.
local function take_plain(s, chain, n, pieces)
  local count = 0
  while count < n and chain.first ~= chain.next do
    local number = chain.first
    local field, entry_field = 'p' .. number, 'q' .. number
    load(s, {field, entry_field})
    local behind, entries = unpack_struct(PART, s.text[field])
    local text = s.text[entry_field]
    if entries > 0 and entries <= n - count then
      pieces[#pieces + 1] = {number, entries, text, queue = false}
      set(s, field, false)
      chain.first, count = behind, count + entries
    elseif entries == 0 then
      set(s, field, false)
      set(s, entry_field, false)
      chain.first = behind
    else
      local rest = cut(text, n - count)
      pieces[#pieces + 1] = {0, n - count, sub(text, 1, rest - 1), queue = false}
      set(s, entry_field, sub(text, rest))
      set(s, field, pack(PART, behind, entries - (n - count)))
      count = n
    end
  end
  if count < n and chain.tailed > 0 then
    local tail, taken = chain.tail, math.min(n - count, chain.tailed)
    if taken == chain.tailed then
      pieces[#pieces + 1], chain.tail = {0, taken, tail, queue = false}, ''
    else
      local rest = cut(tail, taken)
      pieces[#pieces + 1] = {0, taken, sub(tail, 1, rest - 1), queue = false}
      chain.tail = sub(tail, rest)
    end
    chain.tailed, count = chain.tailed - taken, count + taken
  end
  chain.n = chain.n - count
  return count
end

-- The same for those with deadlines, the earliest first.
local function take_dated(s, queue, chain, n, pieces)
  local prefix, ids, texts = dated_prefix(queue, chain.priority), {}, {}
  local members = redis.call('ZRANGEBYLEX', s.keys[DL], '[' .. prefix, '(' .. sub(prefix, 1, -2) .. '}',
    'LIMIT', 0, n)
  redis.call('ZREM', s.keys[DL], unpack(members))
  for i = 1, #members do ids[i] = sub(members[i], #prefix + 17) end
  flush_jobs(s)  -- What this call gave back may be leased again at once.
  local bodies = redis.call('HMGET', s.keys[JOB], unpack(ids))
  for i = 1, #ids do texts[i] = entry_of(ids[i], bodies[i]) end
  pieces[#pieces + 1] = {0, #ids, table.concat(texts)}
  chain.dated = chain.dated - #ids
  return #ids
end

-- Takes up to n entries off a queue, in order. O(n + parts).
local function take_entries(s, queue, n, pieces)
  local count, at = 0, 1
  while count < n and queue.chains[at] do
    local chain = queue.chains[at]
    if chain.dated > 0 then count = count + take_dated(s, queue, chain, n - count, pieces) end
    if count < n then count = count + take_plain(s, chain, n - count, pieces) end
    if chain.n + chain.dated == 0 and chain.first == chain.next then
      table.remove(queue.chains, at)
    else
      at = at + 1
    end
  end
  queue.n = queue.n - count
  return count
end

-- Takes a job out of the part or the tail where it waits.
local function withdraw(s, job, place)
  local queue = queue_of(s, job.class, job.flow)
  local chain = chain_of(s, queue, job.priority)
  local rest = sub(place.text, 1, place.at - 1) .. sub(place.text, place.behind)
  if place.number then
    local field = 'p' .. place.number
    local behind, entries = unpack_struct(PART, get(s, field))
    set(s, field, pack(PART, behind, entries - 1))
    set(s, 'q' .. place.number, rest)
  else
    chain.tail, chain.tailed = rest, chain.tailed - 1
  end
  chain.n, queue.n = chain.n - 1, queue.n - 1
end

local function delay(s, due, member)
  note(s, 'due', due)
  note(s, 'due', member)
  local lane = lane_of(s)
  s.soonest = math.min(s.soonest or due, due)
  if lane.due == 0 or due < lane.due then lane.due = due end
end
