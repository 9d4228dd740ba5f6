/* OpenMP's functions, as far as refwasm's run-time library has them: what is missing here is not supported. */
#ifndef REFWASM_OMP_H
#define REFWASM_OMP_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#define OMP_DEFAULT(value) = value
#else
#define OMP_DEFAULT(value)
#endif

typedef struct { uint32_t words[4]; } omp_lock_t;
typedef struct { uint32_t words[4]; } omp_nest_lock_t;
typedef uint32_t omp_sync_hint_t, omp_lock_hint_t;
enum {
    omp_sync_hint_none, omp_sync_hint_uncontended = 1, omp_sync_hint_contended = 2, omp_sync_hint_nonspeculative = 4,
    omp_sync_hint_speculative = 8, omp_lock_hint_none = 0, omp_lock_hint_uncontended = 1, omp_lock_hint_contended = 2,
    omp_lock_hint_nonspeculative = 4, omp_lock_hint_speculative = 8
};
typedef enum {
    omp_sched_static = 1, omp_sched_dynamic = 2, omp_sched_guided = 3, omp_sched_auto = 4,
    omp_sched_monotonic = (int)0x80000000u
} omp_sched_t;
typedef enum {
    omp_proc_bind_false, omp_proc_bind_true, omp_proc_bind_master, omp_proc_bind_close, omp_proc_bind_spread,
    omp_proc_bind_primary = omp_proc_bind_master
} omp_proc_bind_t;
typedef uintptr_t omp_allocator_handle_t, omp_memspace_handle_t;
enum {
    omp_null_allocator, omp_default_mem_alloc, omp_large_cap_mem_alloc, omp_const_mem_alloc, omp_high_bw_mem_alloc,
    omp_low_lat_mem_alloc, omp_cgroup_mem_alloc, omp_pteam_mem_alloc, omp_thread_mem_alloc
};
enum {
    omp_default_mem_space, omp_large_cap_mem_space, omp_const_mem_space, omp_high_bw_mem_space, omp_low_lat_mem_space
};
typedef enum {
    omp_atk_sync_hint = 1, omp_atk_alignment, omp_atk_access, omp_atk_pool_size, omp_atk_fallback, omp_atk_fb_data,
    omp_atk_pinned, omp_atk_partition
} omp_alloctrait_key_t;
typedef enum {
    omp_atv_false, omp_atv_true, omp_atv_contended = 3, omp_atv_uncontended, omp_atv_serialized, omp_atv_private,
    omp_atv_all, omp_atv_thread, omp_atv_pteam, omp_atv_cgroup, omp_atv_default_mem_fb = 11, omp_atv_null_fb,
    omp_atv_abort_fb, omp_atv_allocator_fb, omp_atv_environment, omp_atv_nearest, omp_atv_blocked, omp_atv_interleaved
} omp_alloctrait_value_t;
typedef struct {
    omp_alloctrait_key_t key;
    uintptr_t value;
} omp_alloctrait_t;
typedef enum { omp_pause_soft = 1, omp_pause_hard } omp_pause_resource_t;
enum { omp_initial_device = -1, omp_invalid_device = -10 };

/* Threads and teams. */
void omp_set_num_threads(int threads);
int omp_get_num_threads(void);
int omp_get_max_threads(void);
int omp_get_thread_num(void);
int omp_get_num_procs(void);
int omp_in_parallel(void);
int omp_get_thread_limit(void);
int omp_get_level(void);
int omp_get_active_level(void);
int omp_get_ancestor_thread_num(int level);
int omp_get_team_size(int level);
void omp_set_dynamic(int dynamic);
int omp_get_dynamic(void);
void omp_set_nested(int nested);
int omp_get_nested(void);
void omp_set_max_active_levels(int levels);
int omp_get_max_active_levels(void);
int omp_get_supported_active_levels(void);
void omp_set_schedule(omp_sched_t kind, int chunk);
void omp_get_schedule(omp_sched_t *kind, int *chunk);
int omp_get_cancellation(void);
int omp_in_final(void);
int omp_get_max_task_priority(void);
int omp_get_num_teams(void);
int omp_get_team_num(void);
int omp_get_max_teams(void);
void omp_set_num_teams(int teams);
int omp_get_teams_thread_limit(void);
void omp_set_teams_thread_limit(int limit);

/* Places: there is one. */
omp_proc_bind_t omp_get_proc_bind(void);
int omp_get_num_places(void);
int omp_get_place_num_procs(int place);
void omp_get_place_proc_ids(int place, int *ids);
int omp_get_place_num(void);
int omp_get_partition_num_places(void);
void omp_get_partition_place_nums(int *places);

/* Locks. */
void omp_init_lock(omp_lock_t *lock);
void omp_init_lock_with_hint(omp_lock_t *lock, omp_sync_hint_t hint);
void omp_destroy_lock(omp_lock_t *lock);
void omp_set_lock(omp_lock_t *lock);
void omp_unset_lock(omp_lock_t *lock);
int omp_test_lock(omp_lock_t *lock);
void omp_init_nest_lock(omp_nest_lock_t *lock);
void omp_init_nest_lock_with_hint(omp_nest_lock_t *lock, omp_sync_hint_t hint);
void omp_destroy_nest_lock(omp_nest_lock_t *lock);
void omp_set_nest_lock(omp_nest_lock_t *lock);
void omp_unset_nest_lock(omp_nest_lock_t *lock);
int omp_test_nest_lock(omp_nest_lock_t *lock);

/* Time: inside a parallel region clocks hardly move between barriers, since kernels can't ask the host. */
double omp_get_wtime(void);
double omp_get_wtick(void);

/* Devices: target regions run on the device of all loops, in the program's own memory. */
void omp_set_default_device(int device);
int omp_get_default_device(void);
int omp_get_num_devices(void);
int omp_get_device_num(void);
int omp_get_initial_device(void);
int omp_is_initial_device(void);
void *omp_target_alloc(size_t size, int device);
void omp_target_free(void *memory, int device);
int omp_target_is_present(const void *memory, int device);
int omp_target_memcpy(void *to, const void *from, size_t size, size_t to_offset, size_t from_offset, int to_device,
                      int from_device);
int omp_target_associate_ptr(const void *host, const void *device, size_t size, size_t offset, int number);
int omp_target_disassociate_ptr(const void *host, int device);

/* Memory. */
void *omp_alloc(size_t size, omp_allocator_handle_t allocator OMP_DEFAULT(omp_null_allocator));
void *omp_calloc(size_t n, size_t size, omp_allocator_handle_t allocator OMP_DEFAULT(omp_null_allocator));
void *omp_aligned_alloc(size_t align, size_t size, omp_allocator_handle_t allocator OMP_DEFAULT(omp_null_allocator));
void omp_free(void *memory, omp_allocator_handle_t allocator OMP_DEFAULT(omp_null_allocator));
void *omp_realloc(void *memory, size_t size, omp_allocator_handle_t to OMP_DEFAULT(omp_null_allocator),
                  omp_allocator_handle_t from OMP_DEFAULT(omp_null_allocator));
omp_allocator_handle_t omp_init_allocator(omp_memspace_handle_t space, int n, const omp_alloctrait_t traits[]);
void omp_destroy_allocator(omp_allocator_handle_t allocator);
int omp_pause_resource(omp_pause_resource_t kind, int device);
int omp_pause_resource_all(omp_pause_resource_t kind);
void omp_display_env(int verbose);
void omp_set_affinity_format(const char *format);
size_t omp_get_affinity_format(char *buffer, size_t size);
void omp_display_affinity(const char *format);
size_t omp_capture_affinity(char *buffer, size_t size, const char *format);
void omp_set_default_allocator(omp_allocator_handle_t allocator);
omp_allocator_handle_t omp_get_default_allocator(void);

#ifdef __cplusplus
}
#endif
#undef OMP_DEFAULT
#endif
